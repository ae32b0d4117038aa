import CLinux

/// Which bytes a thread is at work on, so that bytes that kill the daemon are not taken a third time.
///
/// One table per process, in a file that outlives it. `watch` costs a few stores. Without a table (tests, `replay`)
/// nothing is condemned.
public struct CrashGuard: Sendable {
    /// After so many deaths on the same bytes they are quarantined unread (`crashed`).
    public static let deathsBeforeQuarantine: UInt32 = 2

    private init() {}

    /// Opens the table at `path` and installs the handlers of SIGILL, SIGTRAP, SIGSEGV, SIGBUS and SIGFPE.
    /// Nil with `errno` when the file can't be had.
    public static func open(path: String) -> Result<CrashGuard, Errno> {
        let error = unsafe crash_guard_open(path)
        return error == 0 ? .success(CrashGuard()) : .failure(Errno(number: error))
    }

    public struct Errno: Error, Sendable {
        public var number: Int32
    }

    /// Call once on each thread that will `watch`.
    public func prepareThread() { crash_guard_prepare_thread() }

    public func isCondemned(_ message: Message) -> Bool {
        unsafe message.withBytes { topic, payload in
            unsafe crash_guard_deaths(topic.baseAddress, topic.count, payload.baseAddress, payload.count)
        } >= Self.deathsBeforeQuarantine
    }

    /// Runs `body` while `message` is on record as what this thread is at work on.
    public func watch<Result>(_ message: Message, _ body: () -> Result) -> Result {
        unsafe message.withBytes { topic, payload in
            unsafe crash_guard_enter(topic.baseAddress, topic.count, payload.baseAddress, payload.count)
            defer { crash_guard_leave() }
            return body()
        }
    }
}
