internal import Cryptography
internal import Glibc

/// One file of an archive, written beside its place and put there whole. One thread.
@safe struct ArchiveFile: ~Copyable {
    /// What went wrong with a file; holds no patient data.
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    let path: String
    private let descriptor: Int32
    private var digest = SHA256()
    private(set) var byteCount = 0
    private var buffer: [UInt8] = []

    private static let bufferSize = 1 << 20

    /// Readable by its owner alone: it holds patients' readings.
    init(at path: String) throws(Failure) {
        self.path = path
        descriptor = unsafe open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure(description: "\(path): \(Self.words(errno))") }
    }

    deinit { close(descriptor) }

    mutating func append(_ bytes: [UInt8]) throws(Failure) {
        digest.update(bytes.span)
        byteCount += bytes.count
        buffer += bytes
        if buffer.count >= Self.bufferSize { try empty() }
    }

    private mutating func empty() throws(Failure) {
        var start = 0
        while start < buffer.count {
            let count = unsafe buffer.withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress?.advanced(by: start), $0.count - start)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure(description: "\(path): \(Self.words(errno))") }
            start += count
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Everything is on the disk after this. The SHA-256 of what was written, in hexadecimal.
    mutating func sync() throws(Failure) -> String {
        try empty()
        guard fsync(descriptor) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
            throw Failure(description: "\(path): \(Self.words(errno))")
        }
        return hexadecimal(digest.finishCopy())
    }

    /// The next piece from the beginning on, after `sync`; nil at the end.
    mutating func read() throws(Failure) -> [UInt8]? {
        var piece = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = unsafe Glibc.read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure(description: "\(path): \(Self.words(errno))") }
            return count == 0 ? nil : Array(piece.prefix(count))
        }
    }

    /// Puts a finished file under its name, for good.
    static func put(_ path: String, at place: String) throws(Failure) {
        guard unsafe rename(path, place) == 0 else { throw Failure(description: "\(place): \(words(errno))") }
        let end = place.lastIndex(of: "/") ?? place.startIndex
        let folder = unsafe open(String(place[..<end]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw Failure(description: "\(place): \(words(errno))") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw Failure(description: "\(place): \(words(errno))") }
    }

    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    private static func words(_ number: Int32) -> String { unsafe String(cString: strerror(number)) }
}

extension SHA256 {
    /// The digest so far; more may follow.
    fileprivate func finishCopy() -> [UInt8] {
        let copy = self
        return copy.finish()
    }
}
