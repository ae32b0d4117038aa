internal import CPQ
internal import Ingestion

extension PostgresConnection {
    /// Runs a `COPY … TO STDOUT` and hands over what comes, in the server's pieces. What `take` throws ends the connection.
    mutating func copyOut(
        _ sql: String, doing: StaticString, _ take: ([UInt8]) throws -> Void
    ) throws {
        guard unsafe PQsendQuery(handle, sql) == 1 else { throw brokenConnection(doing) }
        try flush(doing: doing)
        guard let ready = try nextResult(doing: doing) else { throw brokenConnection(doing) }
        guard ready.status == PGRES_COPY_OUT else {
            let refused = failure(of: ready, doing: doing)
            if isConnected { _ = try lastResult(doing: doing) }
            throw refused
        }
        while true {
            var piece: UnsafeMutablePointer<CChar>?
            let count = unsafe PQgetCopyData(handle, &piece, 1)
            if count > 0, let start = unsafe piece {
                let bytes = unsafe Array(UnsafeRawBufferPointer(start: start, count: Int(count)))
                unsafe PQfreemem(start)
                do {
                    try take(bytes)
                } catch {
                    close()
                    throw error
                }
            } else if count == 0 {
                try wait(for: Int16(1), doing: doing)
                guard unsafe PQconsumeInput(handle) == 1 else { throw brokenConnection(doing) }
            } else {
                break
            }
        }
        _ = try lastResult(doing: doing)
    }

    /// Runs a `COPY … FROM STDIN` with what `next` gives, until that is nil. What `next` throws ends the connection.
    mutating func copyIn(_ sql: String, doing: StaticString, _ next: () throws -> [UInt8]?) throws {
        guard unsafe PQsendQuery(handle, sql) == 1 else { throw brokenConnection(doing) }
        try flush(doing: doing)
        guard let ready = try nextResult(doing: doing) else { throw brokenConnection(doing) }
        guard ready.status == PGRES_COPY_IN else {
            let refused = failure(of: ready, doing: doing)
            if isConnected { _ = try lastResult(doing: doing) }
            throw refused
        }
        while let bytes = try piece(next) {
            var isSent = false
            while !isSent {
                let sent = unsafe bytes.withUnsafeBytes { memory in
                    unsafe PQputCopyData(
                        handle, memory.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(clamping: memory.count))
                }
                switch sent {
                case 1: isSent = true
                case 0: try wait(for: Int16(1 | 4), doing: doing)
                default: throw brokenConnection(doing)
                }
                try flush(doing: doing)
            }
        }
        while true {
            let ended = unsafe PQputCopyEnd(handle, nil)
            guard ended >= 0 else { throw brokenConnection(doing) }
            try flush(doing: doing)
            if ended == 1 { break }
        }
        _ = try lastResult(doing: doing)
    }

    private mutating func piece(_ next: () throws -> [UInt8]?) throws -> [UInt8]? {
        do {
            return try next()
        } catch {
            close()
            throw error
        }
    }
}
