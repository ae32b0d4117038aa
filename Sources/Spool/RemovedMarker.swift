import Glibc

/// How far a lane has been drained, in a file that is replaced as a whole. It need not reach the disk: an older one, or
/// none, makes records come again, whose keys are stored by then.
///
/// It holds for the very segment that it names, known by its salt, and never for another of the same number.
struct RemovedMarker: Equatable {
    static let name = "removed"
    private static let magic = Array("HWREMOV\n".utf8)
    private static let byteCount = 40

    var number: UInt64
    var salt: [UInt8]
    /// Where the oldest record that is left begins.
    var offset: Int

    init(number: UInt64, salt: [UInt8], offset: Int) {
        self.number = number
        self.salt = salt
        self.offset = offset
    }

    init?(_ bytes: Span<UInt8>) {
        guard bytes.count == Self.byteCount, bytes.extracting(first: 8).array == Self.magic,
            checksum(bytes.extracting(first: 36)) == bytes.number(UInt32.self, at: 36)
        else { return nil }
        number = bytes.number(UInt64.self, at: 8)
        offset = Int(truncatingIfNeeded: bytes.number(UInt64.self, at: 16))
        salt = bytes.extracting(24..<36).array
    }

    var bytes: [UInt8] {
        var bytes = Self.magic
        bytes.append(number: number)
        bytes.append(number: UInt64(offset))
        bytes += salt
        bytes.append(number: checksum(bytes.span))
        return bytes
    }

    /// The lane's marker; nil when there is none that is whole.
    static func read(directory: String, calls: SystemCalls) -> RemovedMarker? {
        let descriptor = calls.open(directory + "/" + name, O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: byteCount)
        guard calls.read(descriptor, &bytes, 0..<byteCount, 0) == byteCount else { return nil }
        return RemovedMarker(bytes.span)
    }

    func write(directory: String, calls: SystemCalls) throws(FileFailure) {
        let path = directory + "/" + Self.name
        let temporary = path + ".new"
        let descriptor = try calls.opened(temporary, O_WRONLY | O_CREAT | O_TRUNC)
        defer { close(descriptor) }
        try calls.writeAll(bytes.span, to: descriptor, at: 0, path: temporary)
        let answer = calls.rename(temporary, path)
        guard answer == 0 else { throw FileFailure(call: "rename", path: path, number: -answer) }
    }
}
