import CLinux
import Glibc
import Registry
import Synchronization

/// The registry that the commit thread works with, for whoever else needs it. Any thread.
final class RegistryBoard: Sendable {
    private let newest = Mutex<Registry?>(nil)
    private let onChange = Mutex<[@Sendable () -> Void]>([])

    /// Nil until it has been read for the first time.
    var registry: Registry? { newest.withLock { $0 } }

    func show(_ registry: Registry) {
        newest.withLock { $0 = registry }
        for tell in onChange.withLock({ $0 }) { tell() }
    }

    /// `tell` is called after each change, on the thread that reads the registry, and must not block.
    func onChange(_ tell: @escaping @Sendable () -> Void) { onChange.withLock { $0.append(tell) } }
}

/// Wakes a thread that waits.
final class WakeUp: Sendable {
    private let descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    private let isStopping = Atomic(false)

    deinit { close(descriptor) }

    func wake() { eventfd_write(descriptor, 1) }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake()
    }

    /// Until it is woken, or so long, or until `other` can be read. False when it is time to stop.
    /// - Parameter other: -1: none.
    func sleep(milliseconds: Int32, orReadable other: Int32 = -1) -> Bool {
        guard !isStopping.load(ordering: .acquiring) else { return false }
        var waited = [descriptor, other].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        _ = unsafe poll(&waited, 2, milliseconds)
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(descriptor, &count)
        return !isStopping.load(ordering: .acquiring)
    }
}
