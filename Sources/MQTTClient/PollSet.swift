internal import CLinux
internal import Glibc

/// A few descriptors and the wait on all of them.
struct PollSet {
    private var entries: [pollfd]

    init(count: Int) { entries = [pollfd](repeating: pollfd(fd: -1, events: 0, revents: 0), count: count) }

    /// A negative descriptor is left out. Even with no events asked for, a broken connection is reported.
    mutating func watch(_ index: Int, descriptor: Int32, events: Int16) {
        entries[index] = pollfd(fd: descriptor, events: events, revents: 0)
    }

    /// Sleeps until one is ready or the monotonic time is `deadline`; nil: no deadline, 0: not at all.
    mutating func wait(until deadline: Int64?, now: Int64) {
        var milliseconds: Int32 = -1
        if let deadline {
            let left = deadline <= now ? 0 : deadline - now
            // Rounded up: a wait that ends just before its time would only turn round and wait again.
            milliseconds = Int32(clamping: left / 1_000_000 + (left % 1_000_000 == 0 ? 0 : 1))
        }
        let ready = unsafe poll(&entries, nfds_t(entries.count), milliseconds)
        // EINTR: nothing is ready, the caller looks round and comes again.
        if ready < 0 { for index in entries.indices { entries[index].revents = 0 } }
    }

    subscript(index: Int) -> Int16 { entries[index].revents }
}
