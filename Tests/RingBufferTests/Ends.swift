import CLinux
import RingBuffer
import Synchronization

// The few moves that every test of the ring makes.

/// Stages and publishes `count` slots.
func fill(_ producer: inout RingProducer<Int>, _ count: Int) {
    for number in 0..<count {
        _ = producer.stage { slot in slot = number }
    }
    producer.publish()
}

/// Publishes everything that is there.
func passAll(_ stage: inout RingStage<Int>) {
    if case .slots(let range) = stage.wait(milliseconds: 0) { stage.publish(through: range.upperBound - 1) }
}

/// Publishes everything that comes, and returns why there is no more.
func workToTheEnd(_ stage: inout RingStage<Int>) -> RingStage<Int>.Work {
    while true {
        let work = stage.wait(milliseconds: -1)
        guard case .slots(let range) = work else { return work }
        stage.publish(through: range.upperBound - 1)
    }
}

/// The other half of `park`.
func sleepUntilWoken<Slot>(_ producer: inout RingProducer<Slot>) {
    _ = linux_poll_readable(producer.wakeDescriptor, -1)
    producer.drainWake()
}

/// Something that a thread tells the test.
final class Flag: Sendable {
    private let raised = Atomic<Bool>(false)
    func raise() { raised.store(true, ordering: .releasing) }
    var isRaised: Bool { raised.load(ordering: .acquiring) }
}

/// How many `Tracked` are alive.
final class Count: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .acquiring) }
    func add(_ change: Int) { count.add(change, ordering: .acquiringAndReleasing) }
}

/// A slot's content that counts its life.
final class Tracked: Sendable {
    private let alive: Count

    init(_ alive: Count) {
        self.alive = alive
        alive.add(1)
    }

    deinit { alive.add(-1) }
}
