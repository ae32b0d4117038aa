internal import CLinux
internal import Glibc

/// Waits for a condition, looking every few milliseconds, until it holds or the time is up. True when it holds.
/// For what announces itself in no other way, as another process's state.
/// - Parameter interval: between two looks; longer where a look costs much.
public func eventually(
    within limit: Duration = .seconds(90), every interval: Duration = .milliseconds(2), _ condition: () throws -> Bool
) rethrows -> Bool {
    let pause = UInt32(clamping: Int64(interval / .microseconds(1)))
    let deadline = linux_monotonic_nanoseconds() + limit.components.seconds * 1_000_000_000
    while true {
        if try condition() { return true }
        if linux_monotonic_nanoseconds() >= deadline { return false }
        usleep(pause)
    }
}
