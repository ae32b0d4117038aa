internal import CLinux
internal import Glibc
internal import Synchronization

/// A named thread of its own for one stage, which may block; Swift's concurrency pool must not.
public final class StageThread: Sendable {
    private let thread: pthread_t
    private let joined = Mutex(false)

    private init(thread: pthread_t) { self.thread = thread }

    /// What the new thread takes over: its name and its work.
    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread that runs `body` to its end. Traps if the system has no thread left, as it does for lack of
    /// memory.
    ///
    /// - Parameter name: shown in /proc/PID/task/*/comm; at most 15 bytes are kept.
    public static func start(name: String, _ body: @escaping @Sendable () -> Void) -> StageThread {
        var thread = pthread_t()
        let start = unsafe Unmanaged.passRetained(Start(name: name, body: body))
        let refusal = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                unsafe linux_name_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        precondition(refusal == 0, "no thread: errno \(refusal)")
        return StageThread(thread: thread)
    }

    /// Waits until the thread has ended. Further calls, from any thread but that one, return at once after that.
    public func join() {
        joined.withLock { joined in
            guard !joined else { return }
            let refusal = pthread_join(thread, nil)
            precondition(refusal == 0, "thread can't be joined: errno \(refusal)")
            joined = true
        }
    }

    deinit {
        joined.withLock { joined in
            if !joined { pthread_detach(thread) }
        }
    }
}
