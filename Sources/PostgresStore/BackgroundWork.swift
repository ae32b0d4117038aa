internal import CLinux
internal import Glibc
internal import Synchronization

/// Work on a thread of its own whose result may be waited for, by any threads, up to a deadline. It goes on when nobody
/// waits any more, and ends with its body.
final class BackgroundWork<Value: Sendable>: Sendable {
    private let result = Mutex<Value?>(nil)
    /// Readable from the end on. Without a descriptor left, waiting lasts to its deadline.
    private let ended = linux_eventfd_open()

    private init() {}

    deinit {
        if ended >= 0 { Glibc.close(ended) }
    }

    /// Nil when the system has no thread left.
    ///
    /// - Parameter name: shown in /proc/PID/task/*/comm; at most 15 bytes are kept.
    static func start(name: String, _ body: @escaping @Sendable () -> Value) -> BackgroundWork? {
        let work = BackgroundWork()
        let isStarted = ThreadStart.run(name: name) {
            let value = body()
            work.result.withLock { $0 = value }
            if work.ended >= 0 { linux_eventfd_signal(work.ended) }
        }
        return isStarted ? work : nil
    }

    /// The result; nil while there is none.
    var value: Value? { result.withLock { $0 } }

    /// Waits for the result up to this time of the monotonic clock, in nanoseconds.
    func value(until deadline: Int64) -> Value? {
        while true {
            if let value { return value }
            let left = deadline - linux_monotonic_nanoseconds()
            guard left > 0 else { return nil }
            _ = linux_poll_readable(ended, Int32(clamping: (left + 999_999) / 1_000_000))
        }
    }
}

/// What a new thread takes over: its name and its work.
private final class ThreadStart: Sendable {
    private let name: String
    private let body: @Sendable () -> Void

    private init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }

    /// False when the system has no thread left.
    static func run(name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        var thread = pthread_t()
        let start = unsafe Unmanaged.passRetained(ThreadStart(name: name, body: body))
        let refusal = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
                unsafe linux_name_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard refusal == 0 else {
            unsafe start.release()
            return false
        }
        pthread_detach(thread)
        return true
    }
}
