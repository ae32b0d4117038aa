import Cryptography
import Glibc
import Ingestion

/// Appends batches to one new segment file. After a failed sync it must not be used again: the kernel may have dropped
/// what it could not write and report the next sync as good (PostgreSQL's fsyncgate, 2018).
final class SegmentWriter {
    /// Written in one call; a larger batch takes several calls and still one sync.
    private static let pieceSize = 4 * 1024 * 1024

    let header: SegmentHeader
    let path: String
    /// Bytes that are durable; 0 until the first batch, which brings the header along.
    private(set) var length = 0
    private let directory: String
    private let format: RecordFormat
    private let key: SpoolKey?
    private let calls: SystemCalls
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    struct Failure: Error {
        var cause: FileFailure
        /// Nothing was synced in vain: the file can take the next batch once it is cut back.
        var wasWriting: Bool
    }

    init(
        _ header: SegmentHeader, directory: String, key: SpoolKey?, calls: SystemCalls
    ) throws(FileFailure) {
        self.header = header
        self.directory = directory
        path = directory + "/" + Segment.name(header.number)
        format = RecordFormat(header, key: key)
        self.key = key
        self.calls = calls
        descriptor = try calls.opened(path, O_WRONLY | O_CREAT | O_EXCL)
    }

    deinit { close(descriptor) }

    /// Durable when it returns. When it throws, `length` is as before and the file may hold more.
    func append(_ messages: [Message]) throws(Failure) {
        let isNew = length == 0
        buffer.removeAll(keepingCapacity: true)
        if isNew { buffer += header.bytes(key: key) }
        // One call for the nonces of the batch: each call asks the operating system.
        let nonces = randomBytes(format.key == nil ? 0 : messages.count * SpoolKey.nonceCount)
        var written = length
        do throws(FileFailure) {
            for (index, message) in messages.enumerated() {
                let place = index * SpoolKey.nonceCount
                let nonce =
                    format.key == nil ? nonces.span : nonces.span.extracting(place..<place + SpoolKey.nonceCount)
                format.append(message, at: written + buffer.count, nonce: nonce, to: &buffer)
                if buffer.count >= Self.pieceSize { written = try flush(at: written) }
            }
            written = try flush(at: written)
        } catch {
            throw Failure(cause: error, wasWriting: true)
        }
        do throws(FileFailure) {
            let answer = calls.synchroniseData(descriptor)
            guard answer == 0 else { throw FileFailure(call: "fdatasync", path: path, number: -answer) }
            if isNew { try calls.synchronise(directory: directory) }
        } catch {
            throw Failure(cause: error, wasWriting: false)
        }
        length = written
    }

    /// Cuts off what was written after the last batch that is durable. False when the system refuses.
    func cutBack() -> Bool { calls.truncate(descriptor, length) == 0 }

    private func flush(at offset: Int) throws(FileFailure) -> Int {
        // A local shares the array's storage: a span may not reach into an object.
        do {
            let piece = buffer
            try calls.writeAll(piece.span, to: descriptor, at: offset, path: path)
        }
        let written = offset + buffer.count
        buffer.removeAll(keepingCapacity: true)
        return written
    }
}
