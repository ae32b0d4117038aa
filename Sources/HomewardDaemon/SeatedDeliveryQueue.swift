import Alerting
import CLinux
import Clinical
import Delivery
import Glibc
import Ingestion

/// Messages that only the lease's holder may send: without the lease nothing is claimed. The dispatcher's thread owns it.
final class SeatedDeliveryQueue: DeliveryQueue, Sendable {
    private let queue: any DeliveryQueue & Sendable
    private let seat: LeaseSeat
    private let descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))

    init(_ queue: any DeliveryQueue & Sendable, seat: LeaseSeat) {
        self.queue = queue
        self.seat = seat
        seat.onChange { [weak self] _ in self?.wake() }
    }

    deinit { close(descriptor) }

    func claim(limit: Int, lease: Interval) throws -> [DeliveryJob] {
        seat.isHolder ? try queue.claim(limit: limit, lease: lease) : []
    }

    func record(_ outcome: DeliveryOutcome, of job: DeliveryJob) throws { try queue.record(outcome, of: job) }

    func recordDead(_ outcome: DeliveryOutcome, of job: DeliveryJob) throws {
        try queue.recordDead(outcome, of: job)
    }

    func waitForWork(milliseconds: Int32) {
        guard !seat.isHolder else { return queue.waitForWork(milliseconds: milliseconds) }
        // What is due there may not be claimed.
        _ = linux_poll_readable(descriptor, milliseconds)
        linux_eventfd_drain(descriptor)
    }

    func wake() {
        linux_eventfd_signal(descriptor)
        queue.wake()
    }
}
