import Glibc
import Ingestion

/// Reads the records of one segment through a window that only moves forward, except over damage.
final class SegmentReader {
    /// What stands at an offset. Both counts are of the whole record.
    enum Finding: Equatable {
        case record(Int)
        case gap(Int)
        case damage
    }

    /// What a walk over part of a segment found.
    struct Survey {
        var records = 0
        /// Of them; a device's status is no report.
        var statuses = 0
        /// Each followed by something sound.
        var holes: [Range<Int>] = []
        /// Where nothing sound follows any more, if that is before the end.
        var end: Int?
    }

    static let windowSize = 256 * 1024

    let number: UInt64
    private let calls: SystemCalls
    private let descriptor: Int32
    private let path: String
    private let format: RecordFormat
    private var window: [UInt8]
    private var windowStart = 0
    private var windowCount = 0
    /// The body that `examine` opened last, where the segment is encrypted.
    private var plain: [UInt8] = []

    init(_ header: SegmentHeader, path: String, key: SpoolKey?, calls: SystemCalls) throws(FileFailure) {
        number = header.number
        self.path = path
        self.calls = calls
        format = RecordFormat(header, key: key)
        window = [UInt8](repeating: 0, count: Self.windowSize)
        descriptor = try calls.opened(path, O_RDONLY)
    }

    deinit { close(descriptor) }

    /// Looks at what begins at `offset` in a segment that reaches to `end`.
    func examine(_ offset: Int, end: Int) throws(FileFailure) -> Finding {
        guard try load(offset, count: RecordFormat.frameCount, end: end) else { return .damage }
        let (mark, length, sum) = frame(at: offset)
        guard mark == format.mark else { return .damage }
        if length & RecordFormat.gapFlag != 0 {
            let count = Int(length & ~RecordFormat.gapFlag) + RecordFormat.frameCount
            guard offset + count <= end, sum == format.placeChecksum(offset, length) else { return .damage }
            return .gap(count)
        }
        let count = Int(length) + RecordFormat.frameCount
        guard Int(length) <= RecordFormat.maximumBody, try load(offset, count: count, end: end) else { return .damage }
        let window = self.window
        let body = window.span.extracting(body(at: offset, count: count))
        guard checksum(body, after: format.placeChecksum(offset, length)) == sum else { return .damage }
        if let key = format.key {
            guard key.open(body, binding: format.binding(offset).span, into: &plain) else { return .damage }
            let plain = self.plain
            return RecordFormat.places(in: plain.span) == nil ? .damage : .record(count)
        }
        return RecordFormat.places(in: body) == nil ? .damage : .record(count)
    }

    /// The message of a record that `examine` has just found at `offset`.
    func message(at offset: Int, count: Int) -> Message? {
        // A local shares the array's storage: a span may not reach into an object.
        let plain = self.plain
        guard format.key == nil else { return RecordFormat.message(plain.span) }
        let window = self.window
        return RecordFormat.message(window.span.extracting(body(at: offset, count: count)))
    }

    /// Walks from a record's beginning to `end`.
    func survey(from start: Int, to end: Int) throws(FileFailure) -> Survey {
        var survey = Survey()
        var offset = start
        while offset < end {
            switch try examine(offset, end: end) {
            case .record(let count):
                survey.records += 1
                if message(at: offset, count: count)?.isStatus == true { survey.statuses += 1 }
                offset += count
            case .gap(let count): offset += count
            case .damage:
                guard let sound = try nextSound(after: offset, end: end) else {
                    survey.end = offset
                    return survey
                }
                survey.holes.append(offset..<sound)
                offset = sound
            }
        }
        return survey
    }

    /// The bytes of a range that are there.
    func bytes(_ range: Range<Int>) throws(FileFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < range.count {
            let offset = range.lowerBound + bytes.count
            let piece = min(Self.windowSize, range.upperBound - offset)
            let isThere = try load(offset, count: piece, end: range.upperBound)
            let start = offset - windowStart
            bytes += window[start..<start + (isThere ? piece : windowCount)]
            if !isThere { break }
        }
        return bytes
    }

    /// Where the next record or gap that verifies begins. A length can be what is damaged, so nothing is stepped over.
    private func nextSound(after damaged: Int, end: Int) throws(FileFailure) -> Int? {
        var candidate = damaged + 1
        while try load(candidate, count: RecordFormat.frameCount, end: end) {
            let last = min(windowStart + windowCount, end) - RecordFormat.frameCount
            if let marked = firstMark(in: candidate...last) {
                if try examine(marked, end: end) != .damage { return marked }
                candidate = marked + 1
            } else {
                candidate = last + 1
            }
        }
        return nil
    }

    private func firstMark(in offsets: ClosedRange<Int>) -> Int? {
        let window = self.window
        let bytes = window.span
        return offsets.first { bytes.number(UInt32.self, at: $0 - windowStart) == format.mark }
    }

    private func frame(at offset: Int) -> (mark: UInt32, length: UInt32, checksum: UInt32) {
        let window = self.window
        let frame = window.span.extracting((offset - windowStart)...)
        return (
            frame.number(UInt32.self, at: 0), frame.number(UInt32.self, at: 4), frame.number(UInt32.self, at: 8)
        )
    }

    /// Where in the window a record's body is.
    private func body(at offset: Int, count: Int) -> Range<Int> {
        let start = offset - windowStart
        return (start + RecordFormat.frameCount)..<(start + count)
    }

    /// Has the window hold `count` bytes from `offset`; false when they are not there.
    private func load(_ offset: Int, count: Int, end: Int) throws(FileFailure) -> Bool {
        guard count <= end - offset, count <= window.count else { return false }
        if offset >= windowStart, offset + count <= windowStart + windowCount { return true }
        windowStart = offset
        windowCount = 0
        let wanted = min(window.count, end - offset)
        while windowCount < wanted {
            let got = calls.read(descriptor, &window, windowCount..<wanted, offset + windowCount)
            guard got >= 0 else {
                throw FileFailure(call: "read", path: path, number: Int32(truncatingIfNeeded: -got))
            }
            if got == 0 { break }
            windowCount += got
        }
        return windowCount >= count
    }
}
