import Glibc
import Ingestion

/// What is done with bytes that don't verify.
extension Lane {
    static let setAsideSuffix = ".corrupt"
    /// Of a whole segment that holds damage of which there is no copy.
    static let keptSuffix = ".kept.corrupt"

    /// Moves the holes that a survey found, and an end without anything sound, out of the way. Told once: the next life
    /// steps over them.
    func setAside(_ survey: SegmentReader.Survey, of segment: inout Segment, by reader: SegmentReader) {
        for hole in survey.holes { setAside(hole, of: &segment, by: reader) }
        if let end = survey.end, end < segment.length {
            setAside(end..<segment.length, of: &segment, by: reader)
        }
    }

    private func setAside(_ hole: Range<Int>, of segment: inout Segment, by reader: SegmentReader) {
        segment.holes[hole.lowerBound] = hole.upperBound
        let target = segment.path + Self.setAsideSuffix
        do throws(FileFailure) {
            try keep(try reader.bytes(hole), in: target)
            incidents.append(.corrupt(file: target, bytes: hole.count))
        } catch {
            // No room for a copy: the segment itself is kept when it is drained.
            segment.keepsDamage = true
            incidents.append(.corrupt(file: segment.path, bytes: hole.count))
            return
        }
        // Where this fails, the next life finds the damage again, and tells it again.
        guard hole.count >= RecordFormat.frameCount else { return }
        let gap = RecordFormat(segment.header, key: key).gap(at: hole.lowerBound, count: hole.count)
        let descriptor = calls.open(segment.path, O_WRONLY)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        _ = calls.write(descriptor, gap.span, hole.lowerBound)
    }

    /// A segment without a readable header: no record in it can be told from rubbish. Answers where it is now.
    func setAsideWhole(_ path: String) throws(FileFailure) -> String {
        let target = path + Self.setAsideSuffix
        // What was set aside of it before stays.
        let kept = unsafe access(target, F_OK) == 0 ? path + Self.keptSuffix : target
        let answer = calls.rename(path, kept)
        guard answer == 0 else { throw FileFailure(call: "rename", path: path, number: -answer) }
        return kept
    }

    /// Appends to a file of set-aside bytes, durably.
    func keep(_ bytes: [UInt8], in path: String) throws(FileFailure) {
        let descriptor = try calls.opened(path, O_WRONLY | O_CREAT | O_APPEND)
        defer { close(descriptor) }
        // The offset is not looked at: the file was opened to append.
        try calls.writeAll(bytes.span, to: descriptor, at: 0, path: path)
        let answer = calls.synchroniseData(descriptor)
        guard answer == 0 else { throw FileFailure(call: "fdatasync", path: path, number: -answer) }
        try calls.synchronise(directory: directory)
    }

    /// Cuts a file to the bytes that count. Where the system refuses, only those are read all the same.
    func cut(_ path: String, to length: Int) {
        let descriptor = calls.open(path, O_WRONLY)
        guard descriptor >= 0 else { return }
        _ = calls.truncate(descriptor, length)
        close(descriptor)
    }
}
