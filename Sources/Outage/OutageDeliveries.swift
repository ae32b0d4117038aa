public import Alerting
import CLinux
public import Clinical
import Glibc
public import Ingestion
import Synchronization

/// The outbox while PostgreSQL is away: messages of red alerts, in a journal on disk, for a dispatcher of their own.
///
/// The commit thread adds them and hands them over once PostgreSQL has recorded their alerts; the dispatcher's queue
/// thread claims and records; any thread may call anything. A journal that can't be written stops no message: it is
/// sent from memory, and a crash would repeat it under its key or lose it if its report was not spooled either.
///
/// An alert stays known until `endOutage()`, so that what is drained later is not told twice.
public final class OutageDeliveries: DeliveryQueue, OutageLedger, TransferableLedger, Sendable {
    private let state: Mutex<State>
    private let wakeDescriptor: Int32
    /// Lines of the journal that could not be read although readable ones followed. The file was kept as
    /// `outage.journal.corrupt`.
    public let damagedRecords: Int

    /// Opens the journal in that directory, or makes it. What a crash left pending is due at once.
    public convenience init(directory: String) throws(OutageFault) {
        var journal = DeliveryJournal(directory: directory)
        let found = try journal.open()
        try self.init(journal: journal, found: found)
    }

    init(journal: consuming sending DeliveryJournal, found: DeliveryJournal.Found) throws(OutageFault) {
        var book = OutageBook()
        for record in found.records { book.apply(record) }
        book.forgetAttempts()
        damagedRecords = found.damaged
        wakeDescriptor = linux_eventfd_open()
        guard wakeDescriptor >= 0 else { throw OutageFault(.unwritable, "no descriptor for waking") }
        state = Mutex(State(journal: journal, book: book))
    }

    deinit { close(wakeDescriptor) }

    private struct State: ~Copyable {
        var journal: DeliveryJournal
        var book: OutageBook

        init(journal: consuming DeliveryJournal, book: OutageBook) {
            self.journal = journal
            self.book = book
        }

        /// Notes what was already applied to the book; a journal that failed before is written anew.
        mutating func note(_ records: [DeliveryJournal.Record]) throws(OutageFault) {
            if journal.isOpen {
                do throws(OutageFault) { return try journal.append(records) } catch {}
            }
            try journal.rewrite(book.records)
        }

        /// For what can be done without: after a crash a message is then repeated under its key.
        mutating func noteIfPossible(_ records: [DeliveryJournal.Record]) {
            do throws(OutageFault) { try note(records) } catch {}
        }
    }

    // MARK: - The commit thread's side

    /// Durable when it returns. A message that is known already is ignored. When it throws, the messages have been
    /// taken and will be sent all the same, but a crash would lose them; the next call writes them too.
    public func add(_ notices: [OutageNotice]) throws(OutageFault) {
        guard !notices.isEmpty else { return }
        defer { wake() }
        try state.withLock { state throws(OutageFault) in
            let fresh = notices.filter { state.book.add($0) }
            if !fresh.isEmpty || !state.journal.isOpen { try state.note(fresh.map { .added($0) }) }
        }
    }

    public var alerts: Set<AlertID> { state.withLock { Set($0.book.alerts) } }

    /// Whether nothing of an outage is left to send, to record or to remember.
    public var isEmpty: Bool { state.withLock { $0.book.alerts.isEmpty && $0.book.lateOutcomes.isEmpty } }

    /// Each alert as it was last told of, for judging on after a restart.
    public var openEpisodes: [Episode] { state.withLock { $0.book.newestNotices { _ in true }.map(\.job.episode) } }

    public func contains(_ alert: AlertID) -> Bool { state.withLock { $0.book.contains(alert) } }

    /// Where a message of this outage is.
    public enum Standing: Sendable, Hashable {
        case sent(at: Instant)
        case waiting
    }

    /// Nil where it is not this outage's to send.
    public func standing(of key: String) -> Standing? { state.withLock { $0.book.standing(of: key) } }

    public func redAlert(of subject: Subject, rule: String) -> AlertID? {
        state.withLock { $0.book.redAlert(of: subject, rule: rule) }
    }

    public func deliveries(of alert: AlertID) -> [MadeDelivery] {
        state.withLock { $0.book.hold(alert, now: linux_monotonic_nanoseconds()) }
    }

    public var unrecorded: [OutageNotice] {
        state.withLock { state in state.book.newestNotices { !state.book.isHandedOver($0) } }
    }

    public var lateOutcomes: [LateOutcome] { state.withLock { $0.book.lateOutcomes } }

    /// Then commit a batch, an empty one too, so that they are recorded.
    public var hasLateOutcomes: Bool { state.withLock { !$0.book.lateOutcomes.isEmpty } }

    public func handOver(_ alerts: [AlertAlias], recorded outcomes: [LateOutcome]) {
        guard !alerts.isEmpty || !outcomes.isEmpty else { return release() }
        state.withLock { state in
            let late = state.book.handOver(alerts)
            state.book.settle(outcomes)
            var records: [DeliveryJournal.Record] = []
            if !alerts.isEmpty { records.append(.handedOver(alerts)) }
            // Once more behind the hand-over, so that they are late after a crash too.
            records += late.map { .ended(key: $0.key, attempt: $0.attempt, $0.outcome) }
            if !outcomes.isEmpty { records.append(.settled(outcomes)) }
            state.noteIfPossible(records)
        }
        release()
    }

    public func release() {
        state.withLock { $0.book.release() }
        wake()
    }

    /// Every spooled report has been drained: forgets the alerts that were handed over, but for messages that are still
    /// under way. Call it as often as you like while PostgreSQL is there.
    public func endOutage() {
        state.withLock { state in
            state.book.forgetHandedOver(now: linux_monotonic_nanoseconds())
            guard state.book.records.isEmpty, state.journal.length > 0 || !state.journal.isOpen else { return }
            do throws(OutageFault) { try state.journal.rewrite([]) } catch {}
        }
    }

    // MARK: - Another instance's

    public func lines() -> [UInt8]? {
        state.withLock { state in
            guard !state.book.isAnyUnderWay(now: linux_monotonic_nanoseconds()) else { return nil }
            return DeliveryJournal.lines(state.book.records)
        }
    }

    public func forgetEverything() {
        state.withLock { state in
            state.book = OutageBook()
            // A crash would hand it over again: under its keys it is recorded once.
            do throws(OutageFault) { try state.journal.rewrite([]) } catch {}
        }
    }

    public func adopt(_ lines: [UInt8]) {
        state.withLock { state in
            state.book.adopt(DeliveryJournal.parse(lines).found.records)
            do throws(OutageFault) { try state.journal.rewrite(state.book.records) } catch {}
        }
    }

    // MARK: - The dispatcher's side

    public func claim(limit: Int, lease: Interval) -> [DeliveryJob] {
        state.withLock { $0.book.claim(limit: limit, lease: lease, now: linux_monotonic_nanoseconds()) }
    }

    public func record(_ outcome: DeliveryOutcome, of job: DeliveryJob) {
        let delay: Interval =
            if case .retry(let after, _) = outcome { after } else { .seconds(0) }
        state.withLock { state in
            let key = job.entry.key
            guard
                state.book.end(
                    key: key, attempt: job.attempt, outcome, after: delay, now: linux_monotonic_nanoseconds())
            else { return }
            state.noteIfPossible([.ended(key: key, attempt: job.attempt, outcome)])
        }
    }

    public func waitForWork(milliseconds: Int32) {
        let next = state.withLock { $0.book.nextDue }
        let now = linux_monotonic_nanoseconds()
        var wait = milliseconds
        if let next {
            let left = (max(next, now) - now) / 1_000_000 + 1
            wait = min(wait, Int32(clamping: left))
        }
        _ = linux_poll_readable(wakeDescriptor, wait)
        linux_eventfd_drain(wakeDescriptor)
    }

    public func wake() { linux_eventfd_signal(wakeDescriptor) }
}
