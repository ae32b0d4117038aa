import Foundation

/// A file system of a megabyte or few, for the spool. Needs the right to mount; without it there is none.
final class TinyDisk {
    private let directory: URL
    private var ballast: URL { directory.appending(path: "ballast") }

    init?(at directory: URL, megabytes: Int) {
        self.directory = directory
        try? FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let mounted = unsafe mount("tmpfs", directory.path, "tmpfs", 0, "size=\(megabytes)m,mode=700")
        guard mounted == 0 else { return nil }
    }

    /// MNT_DETACH: a process that still has a file open does not keep it.
    deinit { unsafe umount2(directory.path, 2) }

    /// Takes all the space that is left.
    func fill() {
        let file = unsafe open(ballast.path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { return }
        defer { close(file) }
        let block = [UInt8](repeating: 0, count: 4096)
        while unsafe write(file, block, block.count) > 0 {}
    }

    func empty() { unsafe unlink(ballast.path) }
}
