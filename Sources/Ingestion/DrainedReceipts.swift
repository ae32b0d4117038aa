import CLinux
import Formats
import Synchronization

/// Receipts of reports that waited in the spool, on their way from the commit thread to the mqtt thread: such a report
/// has no slot in the ring any more.
///
/// Bounded. When it is full the oldest is dropped, which a device notices by its absence: it sends the report again and
/// is told `duplicate`.
public final class DrainedReceipts: Sendable {
    /// Beyond this many the commit thread lets the mqtt thread catch up before it drains more.
    static let comfortable = 4096
    static let capacity = 32_768

    struct Entry: Sendable {
        var topic: String
        var payload: [UInt8]
    }

    private struct Queue {
        var entries: [Entry?] = []
        var head = 0

        var count: Int { entries.count - head }
    }

    private let queue = Mutex(Queue())
    /// -1 until the mqtt thread's inbox is there.
    private let wake = Atomic<Int32>(-1)

    public init() {}

    /// The descriptor that wakes the mqtt thread.
    func announce(to descriptor: Int32) { wake.store(descriptor, ordering: .releasing) }

    func add(_ entry: Entry) {
        queue.withLock { queue in
            if queue.count >= Self.capacity { Self.removeFirst(&queue) }
            queue.entries.append(entry)
        }
    }

    /// After the last `add` of a batch.
    func signal() {
        let descriptor = wake.load(ordering: .acquiring)
        if descriptor >= 0 { linux_eventfd_signal(descriptor) }
    }

    var isCrowded: Bool { queue.withLock { $0.count } > Self.comfortable }

    /// Gives them in order until `send` refuses one, which stays. True when none is left.
    func takeAll(_ send: (Entry) -> Bool) -> Bool {
        while true {
            guard let first = queue.withLock({ $0.head < $0.entries.count ? $0.entries[$0.head] : nil }) else {
                return true
            }
            guard send(first) else { return false }
            queue.withLock { Self.removeFirst(&$0) }
        }
    }

    private static func removeFirst(_ queue: inout Queue) {
        guard queue.head < queue.entries.count else { return }
        queue.entries[queue.head] = nil
        queue.head += 1
        // Moved down now and then, so that it costs nothing per receipt.
        if queue.head == queue.entries.count || queue.head > 1024 {
            queue.entries.removeFirst(queue.head)
            queue.head = 0
        }
    }
}
