public import Alerting
public import Clinical
internal import Cryptography
public import Ingestion

/// An account of the care managers' page, without its secrets.
public struct WebAccountRow: Sendable, Hashable {
    public var careManager: String
    public var isDisabled: Bool
    public var lockedUntil: Instant?
    public var changedAt: Instant
    public var changedBy: String
}

/// Accounts and sessions of the care managers' page, by the daemon's own role: the page's role reaches neither. One
/// thread.
public final class WebAccounts {
    private var connection: PostgresConnection

    /// Failures before an account is locked out, and the longest that it then is.
    public static let failuresTaken: Int32 = 5
    public static let longestLockOut = Interval.minutes(15)
    public static let idleTime = Interval.minutes(15)
    public static let longestSession = Interval.hours(12)

    private static let add = Statement(
        name: "web_add",
        sql: """
            INSERT INTO homeward.web_account (care_manager, password_hash, totp_secret, changed_by)
            SELECT $1::text, $2::text, $3::bytea, $4::text
            WHERE EXISTS (SELECT FROM homeward.care_manager WHERE code = $1::text)
            ON CONFLICT (care_manager) DO NOTHING
            """)
    private static let reset = Statement(
        name: "web_reset",
        sql: """
            UPDATE homeward.web_account SET password_hash = $2::text, totp_secret = $3::bytea, changed_by = $4::text,
                totp_last_step = 0, failures = 0, failed_at = NULL, locked_until = NULL, disabled_at = NULL,
                changed_at = now()
            WHERE care_manager = $1::text
            """)
    private static let disable = Statement(
        name: "web_disable",
        sql: """
            UPDATE homeward.web_account SET disabled_at = coalesce(disabled_at, now()), changed_by = $2::text,
                changed_at = now()
            WHERE care_manager = $1::text
            """)
    private static let endAll = Statement(
        name: "web_end_all",
        sql: """
            UPDATE homeward.web_session SET ended_at = now()
            WHERE care_manager = $1::text AND ended_at IS NULL
            """)
    private static let forgetAddresses = Statement(
        name: "web_forget_addresses", sql: "DELETE FROM homeward.web_address WHERE care_manager = $1::text")
    private static let list = Statement(
        name: "web_list",
        sql: """
            SELECT care_manager, disabled_at IS NOT NULL, CASE WHEN locked_until > now() THEN locked_until END, changed_at,
                changed_by
            FROM homeward.web_account ORDER BY care_manager
            """)
    // An address that the account has signed in from is locked out by what happens there, any other by what happens at all
    // others together.
    private static let find = Statement(
        name: "web_find",
        sql: """
            SELECT a.password_hash, a.totp_secret, a.totp_last_step, extract(epoch FROM now())::int8
            FROM homeward.web_account a
            LEFT JOIN homeward.web_address k
                ON k.care_manager = a.care_manager AND k.address = $2::text AND k.known_until > now()
            WHERE a.care_manager = $1::text AND a.disabled_at IS NULL AND coalesce(
                CASE WHEN k.address IS NULL THEN a.locked_until ELSE k.locked_until END <= now(), true)
            """)
    // Whatever was changed meanwhile makes it a refusal: another took the code, or the account was reset or disabled.
    private static let admit = Statement(
        name: "web_admit",
        sql: """
            WITH account AS (
                UPDATE homeward.web_account SET totp_last_step = $4::int8
                WHERE care_manager = $1::text AND password_hash = $3::text AND totp_last_step < $4::int8
                    AND disabled_at IS NULL
                RETURNING care_manager
            ), address AS (
                INSERT INTO homeward.web_address (care_manager, address, known_until)
                SELECT care_manager, $2::text, now() + interval '90 days' FROM account
                ON CONFLICT (care_manager, address) DO UPDATE SET known_until = excluded.known_until, failures = 0,
                    failed_at = NULL, locked_until = NULL
            ), session AS (
                INSERT INTO homeward.web_session (token_hash, care_manager, idle_until, expires_at)
                SELECT $5::bytea, care_manager, now() + $6::int8 * interval '1 microsecond',
                    now() + $7::int8 * interval '1 microsecond'
                FROM account
                RETURNING care_manager
            )
            INSERT INTO homeward.read_audit (care_manager, site, what)
            SELECT s.care_manager, site.code, 'signed-in'
            FROM session s JOIN homeward.care_manager c ON c.code = s.care_manager JOIN homeward.site ON site.id = c.site
            """)
    // 30 s from the fifth failure on, doubling with each more; failures halve with each quarter of an hour in which it is
    // not locked out. Were they to halve meanwhile, one guess at each end would never wait longer than two minutes.
    private static let refuse = Statement(
        name: "web_refuse",
        sql: """
            WITH known AS (
                UPDATE homeward.web_address k SET failures = f.failures, failed_at = now(),
                    locked_until = CASE WHEN f.failures >= $3::int4 THEN now() + least(
                        $4::int8 * interval '1 microsecond',
                        interval '30 seconds' * power(2, least(f.failures - $3::int4, 20))) END
                FROM (
                    SELECT 1 + round(w.failures * power(0.5, least(coalesce(
                        extract(epoch FROM now() - greatest(w.failed_at, w.locked_until))::float8, 0) / 900, 100))) AS failures
                    FROM homeward.web_address w WHERE w.care_manager = $1::text AND w.address = $2::text
                ) f
                WHERE k.care_manager = $1::text AND k.address = $2::text AND k.known_until > now()
                    AND (k.locked_until IS NULL OR k.locked_until <= now())
                RETURNING k.care_manager
            ), account AS (
                UPDATE homeward.web_account a SET failures = f.failures, failed_at = now(),
                    locked_until = CASE WHEN f.failures >= $3::int4 THEN now() + least(
                        $4::int8 * interval '1 microsecond',
                        interval '30 seconds' * power(2, least(f.failures - $3::int4, 20))) END
                FROM (
                    SELECT 1 + round(w.failures * power(0.5, least(coalesce(
                        extract(epoch FROM now() - greatest(w.failed_at, w.locked_until))::float8, 0) / 900, 100)))::int4 AS failures
                    FROM homeward.web_account w WHERE w.care_manager = $1::text
                ) f
                WHERE a.care_manager = $1::text AND a.disabled_at IS NULL
                    AND (a.locked_until IS NULL OR a.locked_until <= now())
                    AND NOT EXISTS (
                        SELECT FROM homeward.web_address k
                        WHERE k.care_manager = $1::text AND k.address = $2::text AND k.known_until > now())
                RETURNING a.care_manager
            ), refused AS (
                SELECT care_manager FROM known UNION ALL SELECT care_manager FROM account
            )
            INSERT INTO homeward.read_audit (care_manager, site, what)
            SELECT r.care_manager, site.code, 'refused'
            FROM refused r JOIN homeward.care_manager c ON c.code = r.care_manager
            JOIN homeward.site ON site.id = c.site
            """)
    private static let prune = Statement(
        name: "web_prune",
        sql: """
            WITH addresses AS (DELETE FROM homeward.web_address WHERE known_until < now())
            DELETE FROM homeward.web_session WHERE expires_at < now() - interval '30 days'
            """)

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("accounts"))
    }

    // MARK: Accounts

    public enum Change: Sendable {
        case done
        case noSuchCareManager
        case thereAlready
        case noSuchAccount
    }

    public func add(
        _ careManager: Identifier, password: [UInt8], secret: [UInt8], by actor: String
    ) throws(StoreFailure) -> Change {
        guard try change(Self.add, careManager, password, secret, actor) == 0 else { return .done }
        return try list().contains { $0.careManager == careManager.description } ? .thereAlready : .noSuchCareManager
    }

    /// A new password and secret; ends all sessions, and locking out or disabling, all at once. Where it has signed in from
    /// is forgotten.
    public func reset(
        _ careManager: Identifier, password: [UInt8], secret: [UInt8], by actor: String
    ) throws(StoreFailure) -> Change {
        var code = PostgresParameters()
        code.add(careManager.description)
        let changed = try change(
            Self.reset, careManager, password, secret, actor, and: [(Self.endAll, code), (Self.forgetAddresses, code)])
        return changed == 0 ? .noSuchAccount : .done
    }

    private func change(
        _ statement: Statement, _ careManager: Identifier, _ password: [UInt8], _ secret: [UInt8], _ actor: String,
        and others: [(statement: Statement, parameters: PostgresParameters)] = []
    ) throws(StoreFailure) -> Int {
        var parameters = PostgresParameters()
        parameters.add(careManager.description)
        parameters.add(PasswordHash.make(password))
        parameters.add(secret)
        parameters.add(actor)
        try connection.startCheckedCall()
        // One round trip is one transaction.
        return try connection.run([(statement, parameters)] + others, doing: "changing an account").first ?? 0
    }

    /// Nobody signs in with it any more, and whoever is signed in is signed out, all at once.
    public func disable(_ careManager: Identifier, by actor: String) throws(StoreFailure) -> Change {
        try connection.startCheckedCall()
        var code = PostgresParameters()
        code.add(careManager.description)
        var parameters = code
        parameters.add(actor)
        let changed = try connection.run(
            [(Self.disable, parameters), (Self.endAll, code)], doing: "disabling an account")
        return changed.first == 1 ? .done : .noSuchAccount
    }

    public func list() throws(StoreFailure) -> [WebAccountRow] {
        try connection.startCheckedCall()
        let result = try connection.run(Self.list, PostgresParameters(), doing: "reading accounts")
        return (0..<result.rowCount).compactMap { row in
            guard let careManager = result.text(row, 0), let isDisabled = result.boolean(row, 1),
                let changedAt = result.instant(row, 3), let changedBy = result.text(row, 4)
            else { return nil }
            return WebAccountRow(
                careManager: careManager, isDisabled: isDisabled, lockedUntil: result.instant(row, 2),
                changedAt: changedAt, changedBy: changedBy)
        }
    }

    // MARK: Signing in

    /// Takes a tenth of a second or more, whatever comes of it: on a thread of its own, one attempt at a time.
    public func signIn(_ attempt: SignInAttempt) throws(StoreFailure) -> SignInOutcome {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        let name = Identifier(attempt.careManager)?.description ?? ""
        parameters.add(name)
        parameters.add(String(attempt.address.prefix(64)))
        let account = try connection.run(Self.find, parameters, doing: "signing in")
        let hash = account.text(0, 0)
        let isPassword = PasswordHash.matches(hash ?? PasswordHash.ofNobody, attempt.password)
        var step: Int64?
        if let secret = account.bytes(0, 1), let last = account.int64(0, 2), let seconds = account.int64(0, 3) {
            step = OneTimeCode.step(of: attempt.oneTimeCode, secret: secret, seconds: seconds, after: last)
        }
        // Hashing took its time.
        try connection.startCheckedCall()
        if let hash, let step, isPassword, let token = SessionToken(bytes: randomBytes(32)) {
            parameters.add(hash)
            parameters.add(step)
            parameters.add(sha256(token.bytes))
            parameters.add(Self.idleTime.microseconds)
            parameters.add(Self.longestSession.microseconds)
            let admitted = try connection.run(Self.admit, parameters, doing: "signing in").affectedRows
            _ = try connection.run(Self.prune, PostgresParameters(), doing: "removing old sessions")
            return admitted == 1 ? .signedIn(token) : .refused
        }
        parameters.add(Self.failuresTaken)
        parameters.add(Self.longestLockOut.microseconds)
        _ = try connection.run(Self.refuse, parameters, doing: "refusing a sign-in")
        return .refused
    }
}
