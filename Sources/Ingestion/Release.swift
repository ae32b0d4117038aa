import CLinux
public import Clinical
import Formats

/// A quarantined report that a person asked to have judged again, with its original time of receipt and the reason that
/// held it waived where that can be.
public struct Release: Sendable {
    /// Of the request.
    public var id: Int64
    public var reason: RefusalReason
    /// As it came; a copy that was flagged retained no longer is.
    public var message: Message

    public init(id: Int64, reason: RefusalReason, message: Message) {
        self.id = id
        self.reason = reason
        self.message = message
    }
}

/// What came of a release, written in the transaction that brought it about.
public struct ReleaseResult: Sendable, Hashable {
    public var id: Int64
    /// `stored`, `duplicate` or `quarantined`, as in a receipt.
    public var outcome: String
    /// Why it was refused again.
    public var reason: RefusalReason?
}

extension ReleaseResult {
    /// Nil for what was passed over.
    init?(_ id: Int64, _ disposition: Outcome.Disposition) {
        self.id = id
        switch disposition {
        case .stored: outcome = "stored"
        case .duplicate: outcome = "duplicate"
        case .quarantined(let reason):
            outcome = "quarantined"
            self.reason = reason
        case .pending, .unanswered, .spooled: return nil
        }
    }
}

extension Candidate {
    /// The decoded release with its reason waived.
    init(_ release: Release, decoding: inout DecodeStage) {
        self.init(message: release.message, decoded: Decoded())
        self.release = release.id
        decoding.decode(message, into: &decoded)
        guard release.reason.release == .waives, decoded.clock.refusal == release.reason else { return }
        decoded.clock.refusal = nil
        if release.reason == .clockFuture {
            decoded.clock.takenAt = message.receivedAt
            decoded.clock.corrected = true
        }
    }
}

/// The commit thread takes in what persons released, while PostgreSQL is there.
///
/// A request is a row; taking it in is one transaction with what becomes of the report: its key, its readings, its
/// alerts, and the end of the request. So a request survives a restart, and of two requests or two instances one stores
/// the report: the other finds the request ended or locked, or the key stored.
///
/// A release is received again: with the commit it counts as received, and as stored, duplicate or quarantined, so that
/// `received = stored + duplicate + quarantined + in flight` holds; the first time it was received it ended in quarantine,
/// and that stays counted.
extension CommitStage {
    private static let releasesAtOnce = 20
    private static let releaseInterval: Int64 = 1_000_000_000
    /// After a failure.
    private static let releasePause: Int64 = 5_000_000_000

    /// Once a second at most; after whatever just came. False when it failed.
    mutating func takeReleases() -> Bool {
        let now = linux_monotonic_nanoseconds()
        guard now >= nextReleases, !spooling.isActive else { return true }
        nextReleases = now + Self.releaseInterval
        let limit = now + Spooling.drainPatience
        store.limit(until: limit)
        var waiting: [Candidate]
        do throws(StoreFailure) {
            let releases = try store.waitingReleases(limit: Self.releasesAtOnce, at: processor.options.sites)
            waiting = releases.map { Candidate($0, decoding: &spooling.decoding) }
        } catch {
            store.rollback()
            complain(error)
            processor.forgetStoreState()
            nextReleases = now + Self.releasePause
            return false
        }
        while !waiting.isEmpty {
            var batch = Array(waiting.prefix(Self.prefixWithoutConflictingTwins(waiting)))
            waiting.removeFirst(batch.count)
            // Its patient was asked long ago, if at all: no repeat is waited for.
            processor.options.holdsReds = false
            defer { processor.options.holdsReds = true }
            guard makeDurable(&batch, until: limit, attempts: 1) == .committed else {
                nextReleases = now + Self.releasePause
                return false
            }
            answer(batch)
        }
        return true
    }
}
