internal import CLinux
internal import Glibc
internal import Synchronization

/// The subscriber as other threads see it: how it does, and how to stop it.
public final class SubscriberControl: Sendable {
    private let subscribed = Atomic(false)
    private let publishing = Atomic(false)
    private let beats = Atomic(0)
    private let connecting = Atomic(false)
    private let allowed = Atomic(true)
    /// Monotonic nanoseconds; 0: go on.
    private let stopBy = Atomic<Int64>(0)
    let descriptor: Int32
    let publications = PublicationMailbox()

    /// Traps if the system has no descriptor left, as it does for lack of memory.
    public init() {
        descriptor = linux_eventfd_open()
        precondition(descriptor >= 0, "no eventfd: errno \(-descriptor)")
    }

    deinit { close(descriptor) }

    /// The broker has granted our subscription and the connection stands.
    public var isSubscribed: Bool { subscribed.load(ordering: .acquiring) }

    /// The receipts' connection stands.
    public var isPublishing: Bool { publishing.load(ordering: .acquiring) }

    /// Both connections stand: `/readyz` and `homeward_broker_connected`.
    public var isConnected: Bool { isSubscribed && isPublishing }

    /// Grows while the mqtt thread moves, once a second at least; the watchdog compares it.
    public var beatCount: Int { beats.load(ordering: .relaxed) }

    /// The mqtt thread may be asking for the broker's address, which is the only thing that it waits for elsewhere than
    /// in its own poll.
    public var mayBeResolving: Bool { connecting.load(ordering: .acquiring) }

    func beat(mayResolve: Bool) {
        beats.add(1, ordering: .relaxed)
        connecting.store(mayResolve, ordering: .releasing)
    }

    /// Closes both connections at once, without acknowledging what is not durable and without a word, and stays off
    /// until `allow()`. Any thread.
    public func hold() {
        allowed.store(false, ordering: .releasing)
        linux_eventfd_signal(descriptor)
    }

    /// Connects, and goes on as ever; nothing where it may already. Any thread.
    public func allow() {
        guard !allowed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        linux_eventfd_signal(descriptor)
    }

    public var isAllowed: Bool { allowed.load(ordering: .acquiring) }

    /// Asks for an orderly stop: nothing more is read; what was read is waited for, acknowledged and given its
    /// receipts; then both connections say DISCONNECT. What is not durable after `limit` stays unacknowledged, and the
    /// broker sends it again. The first call counts. Any thread.
    public func stop(within limit: Duration) {
        let deadline = max(1, linux_monotonic_nanoseconds().advanced(by: limit))
        _ = stopBy.compareExchange(expected: 0, desired: deadline, ordering: .acquiringAndReleasing)
        linux_eventfd_signal(descriptor)
    }

    /// Monotonic nanoseconds; nil: go on.
    var stopDeadline: Int64? {
        let deadline = stopBy.load(ordering: .acquiring)
        return deadline == 0 ? nil : deadline
    }

    func report(subscribed isSubscribed: Bool, publishing isPublishing: Bool) {
        subscribed.store(isSubscribed, ordering: .releasing)
        publishing.store(isPublishing, ordering: .releasing)
    }
}
