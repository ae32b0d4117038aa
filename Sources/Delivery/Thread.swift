import Glibc

/// Starts a thread of its own for work that blocks: nothing that waits may stand on the cooperative pool.
///
/// The thread belongs to nobody and ends with `body`. Returns false when the system has no thread left.
func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
    final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let work = unsafe Unmanaged.passRetained(Work(body))
    var thread: pthread_t = 0
    let code = unsafe pthread_create(
        &thread, nil,
        { context in
            guard let context = unsafe context else { return nil }
            let work = unsafe Unmanaged<Work>.fromOpaque(context).takeRetainedValue()
            work.body()
            return nil
        }, work.toOpaque())
    guard code == 0 else {
        unsafe work.release()
        return false
    }
    pthread_detach(thread)
    return true
}
