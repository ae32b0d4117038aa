import Glibc

/// The directories of a spool and the lock that keeps a second daemon out. The lock goes with this object.
final class SpoolDirectory {
    private let lock: Int32

    /// Makes what is missing of `path` and the lanes in it, and takes the lock.
    init(_ path: String, lanes: [String], calls: SystemCalls) throws(SpoolUnavailable) {
        try Self.make(path, calls: calls)
        try Self.check(path, forbidden: 0o022, wish: "chmod go-w")
        let file = path + "/lock"
        lock = calls.open(file, O_RDWR | O_CREAT)
        guard lock >= 0 else { throw SpoolUnavailable(.file, file, "can't be opened: \(word(forError: -lock))") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw errno == EWOULDBLOCK
                ? SpoolUnavailable(.locked, path, "is in use by another daemon; each needs a spool of its own")
                : SpoolUnavailable(.file, file, "can't be locked: \(word(forError: errno))")
        }
        for lane in lanes {
            try Self.make(lane, calls: calls)
            try Self.check(lane, forbidden: 0o077, wish: "chmod 0700")
        }
    }

    deinit { if lock >= 0 { close(lock) } }

    /// The names in a directory, in no order.
    static func names(in path: String) throws(FileFailure) -> [String] {
        guard let directory = unsafe opendir(path) else {
            throw FileFailure(call: "opendir", path: path, number: errno)
        }
        defer { unsafe _ = closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = unsafe readdir(directory) else { break }
            unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                // The system ends every name with a zero.
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) {
                    names.append(unsafe String(cString: $0))
                }
            }
        }
        guard errno == 0 else { throw FileFailure(call: "readdir", path: path, number: errno) }
        return names
    }

    private static func make(_ path: String, calls: SystemCalls) throws(SpoolUnavailable) {
        guard unsafe mkdir(path, 0o700) != 0 else {
            // A file that is durable in a directory that is not would be lost with it.
            let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
            do throws(FileFailure) {
                try calls.synchronise(directory: parent.isEmpty ? "/" : parent)
            } catch {
                throw SpoolUnavailable(error)
            }
            return
        }
        guard errno == EEXIST else {
            throw SpoolUnavailable(.file, path, "the directory can't be made: \(word(forError: errno))")
        }
    }

    private static func check(_ path: String, forbidden: mode_t, wish: String) throws(SpoolUnavailable) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            throw SpoolUnavailable(.file, path, "can't be looked at: \(word(forError: errno))")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw SpoolUnavailable(.file, path, "is not a directory") }
        guard status.st_uid == geteuid() else {
            throw SpoolUnavailable(
                .permissions, path, "belongs to user \(status.st_uid), not to the daemon's (\(geteuid()))")
        }
        guard status.st_mode & forbidden == 0 else {
            throw SpoolUnavailable(
                .permissions, path,
                "is open to other users (mode \(String(status.st_mode & 0o7777, radix: 8))): \(wish)")
        }
        guard unsafe access(path, W_OK | X_OK) == 0 else {
            throw SpoolUnavailable(.permissions, path, "can't be written: \(word(forError: errno))")
        }
    }
}
