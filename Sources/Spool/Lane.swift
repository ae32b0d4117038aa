import Glibc
import Ingestion

/// One queue of the spool: the segments in one directory, oldest first.
///
/// Every life writes to new segments of its own, so that nothing is appended to what an earlier one left in doubt.
final class Lane {
    let directory: String
    let key: SpoolKey?
    let calls: SystemCalls
    /// What a segment grows to; a batch that is larger has one to itself.
    let segmentSize: Int
    var segments: [Segment] = []
    /// The highest number that was ever seen here.
    var lastNumber: UInt64 = 0
    /// Messages appended and not removed.
    var count = 0
    /// Of the messages that an earlier life left, those that are no reports.
    var statusesAtOpening = 0
    /// Of the segment files.
    var bytes = 0
    var incidents: [SpoolIncident] = []
    private var waiting = WaitingMessages()
    /// Of the last of `segments`, unless that is an earlier life's.
    private var writer: SegmentWriter?
    private var reader: SegmentReader?
    /// Drained files that could not be removed yet.
    private var leftovers: [(path: String, bytes: Int)] = []

    init(directory: String, key: SpoolKey?, segmentSize: Int, calls: SystemCalls) {
        self.directory = directory
        self.key = key
        self.segmentSize = segmentSize
        self.calls = calls
    }

    // MARK: Appending

    /// What a batch would add to `bytes`.
    func cost(of messages: [Message]) -> Int {
        let records = recordBytes(messages)
        return startsSegment(records) ? records + SegmentHeader.byteCount : records
    }

    /// Durable when it returns; nothing was taken when it throws.
    func append(_ messages: [Message]) throws(SpoolFailure) {
        guard !messages.isEmpty else { return }
        if startsSegment(recordBytes(messages)) { writer = nil }
        // A failed sync is never repeated on its file, but the batch may go to a new one, once.
        for isLastTry in [false, true] {
            let failure: SegmentWriter.Failure
            do throws(SegmentWriter.Failure) {
                let writer = try currentWriter()
                let before = writer.length
                try writer.append(messages)
                took(messages.count, by: writer, before: before)
                return
            } catch {
                failure = error
            }
            abandon(after: failure)
            if isLastTry || (failure.wasWriting && failure.cause.isNoRoom) {
                throw SpoolFailure(
                    kind: failure.cause.isNoRoom ? .full : .broken, message: failure.cause.message)
            }
        }
    }

    private func recordBytes(_ messages: [Message]) -> Int {
        messages.reduce(0) { $0 + RecordFormat.byteCount(of: $1, isEncrypted: key != nil) }
    }

    private func startsSegment(_ records: Int) -> Bool {
        guard let writer else { return true }
        return writer.length + records > segmentSize
    }

    private func currentWriter() throws(SegmentWriter.Failure) -> SegmentWriter {
        if let writer { return writer }
        lastNumber += 1
        let header = SegmentHeader(
            number: lastNumber, previousNumber: segments.last?.header.number ?? 0,
            previousLength: UInt64(segments.last?.length ?? 0), isEncrypted: key != nil)
        do throws(FileFailure) {
            let made = try SegmentWriter(header, directory: directory, key: key, calls: calls)
            writer = made
            return made
        } catch {
            throw SegmentWriter.Failure(cause: error, wasWriting: true)
        }
    }

    private func took(_ number: Int, by writer: SegmentWriter, before: Int) {
        if before == 0 {
            segments.append(
                Segment(header: writer.header, path: writer.path, length: writer.length, unread: number))
        } else {
            segments[segments.count - 1].length = writer.length
            segments[segments.count - 1].unread += number
        }
        bytes += writer.length - before
        count += number
    }

    /// Leaves nothing of a failed batch behind where the system lets us. Where it doesn't, the length in the next
    /// segment's header says what counts.
    private func abandon(after failure: SegmentWriter.Failure) {
        guard let failed = writer else { return }
        writer = nil
        if failed.length == 0 {
            // Not yet one of `segments`. If it can't be removed, its messages come again: their keys are stored by then.
            _ = calls.unlink(failed.path)
        } else if failed.cutBack(), failure.wasWriting, failure.cause.isNoRoom {
            // No sync has failed: the file is good for the time when there is room again.
            writer = failed
        }
    }

    // MARK: Draining

    /// The oldest messages. Throws only where not even one can be read.
    func first(_ limit: Int) throws(SpoolFailure) -> [Message] {
        do throws(FileFailure) {
            try read(until: limit)
        } catch {
            if waiting.count == 0 { throw SpoolFailure(kind: .broken, message: error.message) }
        }
        return waiting.first(limit)
    }

    /// Nothing is removed when it throws.
    func removeFirst(_ number: Int) throws(SpoolFailure) {
        do throws(FileFailure) {
            try read(until: number)
        } catch {
            throw SpoolFailure(kind: .broken, message: error.message)
        }
        let before = waiting.count
        let place = waiting.removeFirst(number)
        count -= before - waiting.count
        retireDrained()
        guard let place, let oldest = segments.first, oldest.header.number == place.segment else { return }
        // Without a marker, as on a full disk, records come again after a restart, which is harmless; to fail here would
        // keep the disk full.
        try? RemovedMarker(number: place.segment, salt: oldest.header.salt, offset: place.end)
            .write(directory: directory, calls: calls)
    }

    /// Reads on until so many messages are waiting or there are no more.
    private func read(until wanted: Int) throws(FileFailure) {
        while waiting.count < wanted, let index = segments.firstIndex(where: { $0.unread > 0 }) {
            let reader = try reader(of: segments[index])
            while segments[index].unread > 0, waiting.count < wanted {
                try readOne(of: index, by: reader)
            }
        }
    }

    private func readOne(of index: Int, by reader: SegmentReader) throws(FileFailure) {
        let offset = segments[index].cursor
        if let end = segments[index].holes[offset] {
            segments[index].cursor = end
            return
        }
        switch try reader.examine(offset, end: segments[index].length) {
        case .gap(let count): segments[index].cursor = offset + count
        case .record(let size):
            guard let message = reader.message(at: offset, count: size) else { return try repair(index, by: reader) }
            waiting.append(
                message, place: WaitingMessages.Place(segment: segments[index].header.number, end: offset + size))
            segments[index].cursor = offset + size
            segments[index].unread -= 1
        case .damage: try repair(index, by: reader)
        }
    }

    /// Damage since the lane was opened.
    private func repair(_ index: Int, by reader: SegmentReader) throws(FileFailure) {
        let survey = try reader.survey(from: segments[index].cursor, to: segments[index].length)
        setAside(survey, of: &segments[index], by: reader)
        count -= segments[index].unread - survey.records
        segments[index].unread = survey.records
    }

    private func reader(of segment: Segment) throws(FileFailure) -> SegmentReader {
        if let reader, reader.number == segment.header.number { return reader }
        let opened = try SegmentReader(segment.header, path: segment.path, key: key, calls: calls)
        reader = opened
        return opened
    }

    /// Removes the files of which nothing is left.
    func retireDrained() {
        leftovers.removeAll { leftover in
            guard calls.unlink(leftover.path) == 0 else { return false }
            bytes -= leftover.bytes
            return true
        }
        while let oldest = segments.first, oldest.unread == 0, oldest.header.number != waiting.firstSegment {
            if reader?.number == oldest.header.number { reader = nil }
            if writer?.header.number == oldest.header.number { writer = nil }
            segments.removeFirst()
            if oldest.keepsDamage {
                _ = calls.rename(oldest.path, oldest.path + Self.keptSuffix)
                bytes -= oldest.length
            } else {
                remove(oldest.path, bytes: oldest.length)
            }
        }
    }

    func remove(_ path: String, bytes size: Int) {
        let answer = calls.unlink(path)
        if answer == 0 || answer == -ENOENT {
            bytes -= size
        } else {
            leftovers.append((path, size))
        }
    }
}
