import Glibc

/// The calls that make bytes durable. Files are for the daemon's user alone: they hold patients' data.
enum DurableFile {
    /// Replaces the file: a reader finds the old bytes or the new ones, whole, whatever happens in between.
    static func replace(_ path: String, with bytes: [UInt8]) throws(OutageFault) {
        let temporary = path + ".new"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("opening", temporary) }
        do throws(OutageFault) {
            try write(bytes, to: descriptor, path: temporary)
            try sync(descriptor, path: temporary)
        } catch {
            close(descriptor)
            _ = unsafe unlink(temporary)
            throw error
        }
        close(descriptor)
        guard unsafe rename(temporary, path) == 0 else { throw failure("renaming", temporary) }
        try syncDirectory(of: path)
    }

    static func write(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(OutageFault) {
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress?.advanced(by: written), buffer.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("writing", path) }
            written += count
        }
    }

    static func sync(_ descriptor: Int32, path: String) throws(OutageFault) {
        guard fdatasync(descriptor) == 0 else { throw failure("syncing", path) }
    }

    /// What was created or renamed in the directory stays there after a power loss.
    static func syncDirectory(of path: String) throws(OutageFault) {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = unsafe open(directory.isEmpty ? "/" : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("opening", directory) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("syncing", directory) }
    }

    /// Nil where there is no such file.
    static func read(_ path: String) throws(OutageFault) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw OutageFault(.unreadable, "opening \(name(of: path)): \(errorName())")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw OutageFault(.unreadable, "reading \(name(of: path)): \(errorName())") }
            if count == 0 { return bytes }
            bytes += chunk.prefix(count)
        }
    }

    static func failure(_ action: String, _ path: String) -> OutageFault {
        OutageFault(.unwritable, "\(action) \(name(of: path)): \(errorName())")
    }

    static func name(of path: String) -> String { String(path.split(separator: "/").last ?? "") }

    private static func errorName() -> String { unsafe String(cString: strerror(errno)) }
}
