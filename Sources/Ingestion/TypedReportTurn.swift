public import Alerting
import CLinux
public import Clinical
import Instruments

/// A report that a care manager typed in, until it has been taken through the pipeline.
public struct WaitingReport: Sendable {
    public var form: FormID
    public var site: Identifier
    public var device: Identifier
    public var payload: [UInt8]
    /// When it was typed: the report's time of receipt.
    public var receivedAt: Instant

    public init(form: FormID, site: Identifier, device: Identifier, payload: [UInt8], receivedAt: Instant) {
        self.form = form
        self.site = site
        self.device = device
        self.payload = payload
        self.receivedAt = receivedAt
    }

    /// As if its reader had sent it.
    var message: Message {
        Message(
            topic: Array("homeward/v1/\(site)/\(device)/report".utf8), payload: payload, receivedAt: receivedAt,
            receivedTick: linux_monotonic_nanoseconds())
    }
}

/// What became of it.
public struct TypedOutcome: Sendable {
    public var form: FormID
    /// `stored`, `duplicate` or `quarantined`.
    public var outcome: String
    /// The refusal's, of the report or of its first reading that was refused.
    public var reason: String?

    public init(form: FormID, outcome: String, reason: String?) {
        self.form = form
        self.outcome = outcome
        self.reason = reason
    }
}

extension CommitStore {
    /// A store that nobody types into has none.
    public func waitingReports(
        sites: Set<Identifier>?, limit: Int
    ) throws(StoreFailure) -> [WaitingReport] { [] }
    public func note(_ outcomes: [TypedOutcome]) throws(StoreFailure) {}
}

extension CommitStage {
    /// Nanoseconds between two looks.
    private static let typedInterval: Int64 = 500_000_000
    /// After a failure.
    private static let typedPause: Int64 = 5_000_000_000

    /// Takes in what was typed, as a reader's report: the same decoding, validation, keys and rules. Committed first and
    /// noted after it: what is taken in again in between is a duplicate of itself. False when it failed.
    mutating func takeTypedReports() -> Bool {
        let now = linux_monotonic_nanoseconds()
        guard now >= nextTyped else { return true }
        nextTyped = now + Self.typedInterval
        store.limit(until: now + Spooling.drainPatience)
        do throws(StoreFailure) {
            _ = try store.begin()
            let waiting = try store.waitingReports(sites: processor.options.sites, limit: 100)
            store.rollback()
            guard !waiting.isEmpty else { return true }
            var decoder = DecodeStage(crashGuard: processor.crashGuard)
            var batch = waiting.map { waiting in
                var candidate = Candidate(message: waiting.message, decoded: Decoded())
                decoder.decode(candidate.message, into: &candidate.decoded)
                candidate.isTyped = true
                return candidate
            }
            let limit = linux_monotonic_nanoseconds() + Spooling.drainPatience
            guard case .committed = makeDurable(&batch, until: limit, attempts: 2) else { return false }
            store.limit(until: linux_monotonic_nanoseconds() + Spooling.drainPatience)
            _ = try store.begin()
            try store.note(zip(waiting, batch).compactMap { $0.outcome(of: $1.outcome) })
            try store.commit()
            return true
        } catch {
            store.rollback()
            complain(error)
            processor.forgetStoreState()
            nextTyped = linux_monotonic_nanoseconds() + Self.typedPause
            return false
        }
    }
}

extension WaitingReport {
    /// Nil while nothing has become of it.
    fileprivate func outcome(of outcome: Outcome) -> TypedOutcome? {
        switch outcome.disposition {
        case .pending, .spooled: nil
        case .stored:
            TypedOutcome(form: form, outcome: "stored", reason: outcome.refused.first?.reason.rawValue)
        case .duplicate: TypedOutcome(form: form, outcome: "duplicate", reason: nil)
        case .quarantined(let reason):
            TypedOutcome(form: form, outcome: "quarantined", reason: reason.rawValue)
        case .unanswered: TypedOutcome(form: form, outcome: "quarantined", reason: RefusalReason.malformed.rawValue)
        }
    }
}
