import Clinical
import Cryptography
import Foundation
import Glibc
import Ingestion
import PostgresStore

/// `homeward user`: the accounts of the care managers' page.
public struct Users {
    private let configurationPath: String

    /// Fewer characters are refused.
    public static let shortestPassword = 12

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// Makes an account, or gives it a new password and one-time codes and ends its sessions; the address for the
    /// authenticator app goes to standard output. The password is asked for without echo, or is the first line of
    /// standard input where that is no terminal; never an argument.
    public func set(_ careManager: String, isNew: Bool) throws -> ExitStatus {
        guard let code = Identifier(careManager) else {
            StandardError.write("\(StandardErrorLog.escaped(careManager)) is no code\n")
            return .usage
        }
        guard let password = Self.password() else { return .badData }
        return withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let accounts = WebAccounts(loaded.database)
            let secret = randomBytes(OneTimeCode.secretByteCount)
            let change =
                isNew
                ? try accounts.add(code, password: password, secret: secret, by: NSUserName())
                : try accounts.reset(code, password: password, secret: secret, by: NSUserName())
            guard Self.say(change, of: code) else { return .badData }
            var output = BufferedOutput()
            output.write(OneTimeCode.address(secret: secret, account: code.description))
            output.flush()
            StandardError.write(
                "\(code) can sign in with this password and the codes of an authenticator app that has read the address "
                    + "above. It is shown this once.\n")
            return .success
        }
    }

    /// Ends the account and its sessions at once; `reset` opens it again.
    public func disable(_ careManager: String) throws -> ExitStatus {
        guard let code = Identifier(careManager) else {
            StandardError.write("\(StandardErrorLog.escaped(careManager)) is no code\n")
            return .usage
        }
        return withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let change = try WebAccounts(loaded.database).disable(code, by: NSUserName())
            return Self.say(change, of: code) ? .success : .badData
        }
    }

    public func list() throws -> ExitStatus {
        withDatabase(configurationPath) { loaded throws(StoreFailure) in
            var output = BufferedOutput()
            for row in try WebAccounts(loaded.database).list() {
                let state = row.isDisabled ? "disabled" : row.lockedUntil == nil ? "in use" : "locked out for a time"
                output.write("\(row.careManager)  \(state)  changed by \(StandardErrorLog.escaped(row.changedBy))")
            }
            output.flush()
            return .success
        }
    }

    private static func say(_ change: WebAccounts.Change, of code: Identifier) -> Bool {
        switch change {
        case .done: return true
        case .noSuchCareManager: StandardError.write("the registry has no care manager \(code)\n")
        case .thereAlready: StandardError.write("\(code) has an account; `user reset` changes it\n")
        case .noSuchAccount: StandardError.write("\(code) has no account\n")
        }
        return false
    }

    /// Nil, and why on standard error, for one that is too short or was typed differently the second time.
    private static func password() -> [UInt8]? {
        let isTerminal = isatty(STDIN_FILENO) == 1
        func line(_ words: String) -> String? {
            guard isTerminal else { return readLine() }
            StandardError.write(words)
            var before = termios()
            unsafe tcgetattr(STDIN_FILENO, &before)
            var silent = before
            silent.c_lflag &= ~tcflag_t(ECHO)
            unsafe tcsetattr(STDIN_FILENO, TCSANOW, &silent)
            defer {
                unsafe tcsetattr(STDIN_FILENO, TCSANOW, &before)
                StandardError.write("\n")
            }
            return readLine()
        }
        guard let first = line("Password: "), first.count >= shortestPassword, first.utf8.count <= 1024 else {
            StandardError.write("a password has at least \(shortestPassword) characters\n")
            return nil
        }
        guard !isTerminal || line("Again: ") == first else {
            StandardError.write("these were two different passwords\n")
            return nil
        }
        return Array(first.utf8)
    }
}
