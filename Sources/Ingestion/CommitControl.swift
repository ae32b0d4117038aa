public import Alerting
import CLinux
public import Clinical
import Glibc
import Synchronization

/// What other threads may say to the commit thread and learn of it. Any thread may call it.
public final class CommitControl: Sendable {
    private let gaveUp = Atomic<Bool>(false)
    private let complaint = Mutex<String?>(nil)
    private let beats = Atomic<Int>(0)
    private let packs = Mutex<PackLibrary?>(nil)
    private let spoolComplaint = Mutex<String?>(nil)
    private let findings = Mutex<[Finding]>([])
    private let clock = Mutex<String?>(nil)
    /// Receipts of drained reports, on their way to the mqtt thread.
    public let receipts = DrainedReceipts()
    /// Reds that wait for the outbox's dispatcher.
    public let unsent = UnsentReds()
    private let link = Mutex(BrokerLink(at: linux_monotonic_nanoseconds()))
    private let sight: Mutex<Sighting>
    private let onOutbox: @Sendable () -> Void
    private let wake: Int32

    private struct Sighting {
        var isAwaited: Bool
        var news: Sight?
    }

    /// - Parameters:
    ///   - awaitsSight: nobody is called missing before `noteSight` was called once.
    ///   - onOutbox: called on the commit thread after a transaction that wrote deliveries.
    public init(awaitsSight: Bool = false, onOutbox: @escaping @Sendable () -> Void = {}) {
        self.onOutbox = onOutbox
        sight = Mutex(Sighting(isAwaited: awaitsSight))
        wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    }

    deinit { close(wake) }

    /// Ends the retries: what is not durable yet stays unacknowledged, and the broker has it still.
    public func giveUp() {
        gaveUp.store(true, ordering: .releasing)
        eventfd_write(wake, 1)
    }

    /// Judge by these packs from the next batch on; a batch under way keeps the old ones.
    public func use(_ library: PackLibrary) { packs.withLock { $0 = library } }

    /// What somebody must mend before the batch in work can be committed; nil again from the next commit on. A store
    /// that is merely away is nothing to mend.
    public var problem: String? { complaint.withLock { $0 } }

    /// Why the spool takes no reports; nil while it does.
    public var spoolProblem: String? { spoolComplaint.withLock { $0 } }

    func noteSpool(_ problem: String?) { spoolComplaint.withLock { $0 = problem } }

    /// Raised as a technical alert within a second or so. At most `capacity` wait; the oldest stand.
    public func raise(_ finding: TechnicalFinding) { raise([finding.finding]) }

    /// The same for what is about readers and sites.
    public func raise(_ more: [Finding]) {
        findings.withLock { $0.append(contentsOf: more.prefix(max(0, Self.capacity - $0.count))) }
    }

    /// Whether reports can come. Missed readings are told of only once what was sent meanwhile has been read.
    public func noteBroker(isConnected: Bool) {
        let now = linux_monotonic_nanoseconds()
        link.withLock { $0.note(isConnected: isConnected, at: now) }
    }

    /// Until now another instance read from the broker: nothing was missed for our not being connected.
    public func noteTakeover() {
        let now = linux_monotonic_nanoseconds()
        link.withLock { $0 = BrokerLink(at: now) }
    }

    var brokerLink: BrokerLink { link.withLock { $0 } }

    /// Whom outages hide, as of now: in force within a second or so. An absence of Homeward is told once.
    public func noteSight(_ news: Sight) {
        sight.withLock { sighting in
            sighting.isAwaited = false
            var news = news
            news.absence = news.absence ?? sighting.news?.absence
            sighting.news = news
        }
        guard news.absence != nil else { return }
        let now = linux_monotonic_nanoseconds()
        link.withLock { $0.noteAbsence(at: now) }
    }

    /// What was noted since the last call.
    func takeSight() -> Sight? {
        sight.withLock { sighting in
            defer { sighting.news = nil }
            return sighting.news
        }
    }

    var isSightAwaited: Bool { sight.withLock(\.isAwaited) }

    private static let capacity = 100

    /// Why our own clock is not to be trusted; nil: it is. In force from the next batch on.
    public func doubtClock(_ problem: String?) { clock.withLock { $0 = problem } }

    var clockProblem: String? { clock.withLock { $0 } }

    func takeFindings() -> [Finding] {
        findings.withLock { findings in
            defer { findings = [] }
            return findings
        }
    }

    /// After each attempt to commit: what it failed of.
    func note(_ failure: StoreFailure?) {
        complaint.withLock { $0 = failure.flatMap { $0.kind == .transient ? nil : $0.message } }
    }

    /// Grows while the commit thread moves; the watchdog compares it.
    public var beatCount: Int { beats.load(ordering: .relaxed) }

    func beat() { beats.add(1, ordering: .relaxed) }

    func takePacks() -> PackLibrary? {
        packs.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
    }

    func wakeDispatcher() { onOutbox() }

    /// Waits between attempts; false when told to give up.
    func sleep(milliseconds: Int32) -> Bool {
        beat()
        var waited = pollfd(fd: wake, events: Int16(POLLIN), revents: 0)
        if !gaveUp.load(ordering: .acquiring) { _ = unsafe poll(&waited, 1, milliseconds) }
        return !gaveUp.load(ordering: .acquiring)
    }
}
