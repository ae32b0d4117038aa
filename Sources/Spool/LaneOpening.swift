import Glibc
import Ingestion

/// What an earlier life left.
extension Lane {
    /// Reads every segment once: cuts what a crash tore, sets aside what is damaged, counts the rest.
    func open() throws(SpoolUnavailable) {
        let names = try unavailable { () throws(FileFailure) in try SpoolDirectory.names(in: directory) }
        let marker = RemovedMarker.read(directory: directory, calls: calls)
        lastNumber = max(names.compactMap(Segment.anyNumber).max() ?? 0, marker?.number ?? 0)
        let numbers = names.compactMap(Segment.number).sorted()
        for number in numbers { try find(number, isLast: number == numbers.last) }
        if let marker { skipDrained(marker) }
        for index in segments.indices {
            try unavailable { () throws(FileFailure) in
                try survey(index, isLast: segments[index].header.number == numbers.last)
            }
        }
        retireDrained()
    }

    private func find(_ number: UInt64, isLast: Bool) throws(SpoolUnavailable) {
        let path = directory + "/" + Segment.name(number)
        let (first, size) = try unavailable { () throws(FileFailure) in try beginning(of: path) }
        if isLast, size < SegmentHeader.byteCount {
            // A crash before the first sync: nothing in it was acknowledged.
            remove(path, bytes: 0)
            incidents.append(.torn(file: path, bytes: size))
            return
        }
        do throws(SegmentHeader.Fault) {
            let header = try SegmentHeader(first.span, key: key)
            guard header.number == number else { throw .damaged }
            segments.append(Segment(header: header, path: path, length: size, unread: 0))
            bytes += size
        } catch {
            switch error {
            case .damaged:
                let kept = try unavailable { () throws(FileFailure) in try setAsideWhole(path) }
                incidents.append(.corrupt(file: kept, bytes: size))
            case .version(let version):
                throw SpoolUnavailable(.version, path, "is of version \(version), which is newer than this program")
            case .keyMissing:
                throw SpoolUnavailable(.wrongKey, path, "is encrypted, and no key is configured")
            case .wrongKey:
                throw SpoolUnavailable(.wrongKey, path, "is encrypted with another key than the configured one")
            }
        }
    }

    private func beginning(of path: String) throws(FileFailure) -> (bytes: [UInt8], size: Int) {
        let descriptor = try calls.opened(path, O_RDONLY)
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0 else { throw FileFailure(call: "lseek", path: path, number: errno) }
        var bytes = [UInt8](repeating: 0, count: SegmentHeader.byteCount)
        let count = calls.read(descriptor, &bytes, 0..<bytes.count, 0)
        guard count >= 0 else {
            throw FileFailure(call: "read", path: path, number: Int32(truncatingIfNeeded: -count))
        }
        return (Array(bytes[..<count]), size)
    }

    /// A marker holds only for the segment whose salt it carries; without that segment it says nothing.
    private func skipDrained(_ marker: RemovedMarker) {
        guard
            let index = segments.firstIndex(where: {
                $0.header.number == marker.number && $0.header.salt == marker.salt
            }), marker.offset >= SegmentHeader.byteCount, marker.offset <= segments[index].length
        else { return }
        segments[index].cursor = marker.offset
        for drained in segments[..<index] { remove(drained.path, bytes: drained.length) }
        segments.removeFirst(index)
    }

    private func survey(_ index: Int, isLast: Bool) throws(FileFailure) {
        var segment = segments[index]
        let size = segment.length
        // What follows says how much of this one was acknowledged.
        if index + 1 < segments.count, segments[index + 1].header.previousNumber == segment.header.number,
            let reaches = Int(exactly: segments[index + 1].header.previousLength), reaches != size
        {
            // Less is a batch that failed and could not be cut off; more is what somebody cut off, and zeros stand for.
            if reaches < size { incidents.append(.torn(file: segment.path, bytes: size - reaches)) }
            cut(segment.path, to: reaches)
            segment.length = reaches
        }
        let reader = try SegmentReader(segment.header, path: segment.path, key: key, calls: calls)
        var survey = try reader.survey(from: segment.cursor, to: segment.length)
        if isLast, let end = survey.end {
            incidents.append(.torn(file: segment.path, bytes: segment.length - end))
            // Nothing tells a write that a crash cut short from a last record that went bad: a copy is kept, if it can be.
            try? keep(reader.bytes(end..<segment.length), in: segment.path + Self.setAsideSuffix)
            cut(segment.path, to: end)
            segment.length = end
            survey.end = nil
        }
        setAside(survey, of: &segment, by: reader)
        segment.unread = survey.records
        count += survey.records
        statusesAtOpening += survey.statuses
        bytes += segment.length - size
        segments[index] = segment
    }
}

private func unavailable<Result>(_ body: () throws(FileFailure) -> Result) throws(SpoolUnavailable) -> Result {
    do throws(FileFailure) { return try body() } catch { throw SpoolUnavailable(error) }
}
