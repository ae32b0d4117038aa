import Glibc

/// One segment file of a lane, as far as the lane knows it.
struct Segment {
    let header: SegmentHeader
    let path: String
    /// Bytes from its beginning that are durable and ours; what the file holds further on was never acknowledged.
    var length: Int
    /// Where the next record to be read begins.
    var cursor = SegmentHeader.byteCount
    /// Records from there on.
    var unread: Int
    /// Damaged ranges, from where each begins to where it ends.
    var holes: [Int: Int] = [:]
    /// There is damage that could not be set aside: the file itself is kept.
    var keepsDamage = false

    static func name(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 16 - digits.count)) + digits + suffix
    }

    /// The number in a segment's name; nil for any other file.
    static func number(_ name: String) -> UInt64? {
        guard name.hasSuffix(suffix), let number = UInt64(name.dropLast(suffix.count)), Segment.name(number) == name
        else { return nil }
        return number
    }

    /// Also of bytes set aside: their number is not used again.
    static func anyNumber(_ name: String) -> UInt64? {
        guard let digits = name.firstRange(of: suffix) else { return nil }
        return UInt64(name[..<digits.lowerBound])
    }

    private static let suffix = ".segment"
}

/// Whole contents of files, for set-aside bytes and markers.
extension SystemCalls {
    /// Writes all of `bytes` at `offset`, in as many writes as the system wants.
    func writeAll(_ bytes: Span<UInt8>, to descriptor: Int32, at offset: Int, path: String) throws(FileFailure) {
        var done = 0
        while done < bytes.count {
            let count = write(descriptor, bytes.extracting(done...), offset + done)
            guard count > 0 else {
                let number = count == 0 ? EIO : Int32(truncatingIfNeeded: -count)
                throw FileFailure(call: "write", path: path, number: number)
            }
            done += count
        }
    }

    func opened(_ path: String, _ flags: Int32) throws(FileFailure) -> Int32 {
        let descriptor = open(path, flags)
        guard descriptor >= 0 else { throw FileFailure(call: "open", path: path, number: -descriptor) }
        return descriptor
    }

    /// What a directory names, durably.
    func synchronise(directory: String) throws(FileFailure) {
        let descriptor = try opened(directory, O_RDONLY | O_DIRECTORY)
        defer { close(descriptor) }
        let answer = synchronise(descriptor)
        guard answer == 0 else { throw FileFailure(call: "fsync", path: directory, number: -answer) }
    }
}
