internal import CPQ
internal import Ingestion

extension PostgresConnection {
    /// Runs constant SQL, one or more commands, and returns the last result. Values in text format.
    mutating func query(_ sql: StaticString, doing: StaticString) throws(StoreFailure) -> PostgresResult {
        try script("\(sql)", doing: doing)
    }

    /// As `query`, for SQL that is not a literal: the migrations' files.
    mutating func script(_ sql: String, doing: StaticString) throws(StoreFailure) -> PostgresResult {
        guard unsafe PQsendQuery(handle, sql) == 1 else { throw brokenConnection(doing) }
        try flush(doing: doing)
        guard let last = try lastResult(doing: doing) else { throw brokenConnection(doing) }
        return last
    }

    /// Reads all results; the first error among them is thrown once the connection is ready for the next command.
    mutating func lastResult(doing: StaticString) throws(StoreFailure) -> PostgresResult? {
        var last: PostgresResult?
        var failed: StoreFailure?
        while let result = try nextResult(doing: doing) {
            if result.isError, failed == nil { failed = failure(of: result, doing: doing) }
            last = consume result
            guard isConnected else { break }
        }
        if let failed { throw failed }
        return last
    }

    /// Runs one prepared statement. Values in binary format.
    mutating func run(
        _ statement: Statement, _ parameters: PostgresParameters, doing: StaticString
    ) throws(StoreFailure) -> PostgresResult {
        try prepare(statement, doing: doing)
        try send(statement, parameters, doing: doing)
        try flush(doing: doing)
        guard let result = try lastResult(doing: doing) else { throw brokenConnection(doing) }
        return result
    }

    /// Runs several statements in one round trip and returns how many rows each changed. When one fails, those after
    /// it are not run.
    mutating func run(
        _ calls: [(statement: Statement, parameters: PostgresParameters)], doing: StaticString
    ) throws(StoreFailure) -> [Int] {
        guard !calls.isEmpty else { return [] }
        for call in calls { try prepare(call.statement, doing: doing) }
        guard unsafe PQenterPipelineMode(handle) == 1 else { throw brokenConnection(doing) }
        for call in calls { try send(call.statement, call.parameters, doing: doing) }
        guard unsafe PQpipelineSync(handle) == 1 else { throw brokenConnection(doing) }
        try flush(doing: doing)
        var affected: [Int] = []
        var failed: StoreFailure?
        var synced = false
        while !synced {
            // Nil only parts the statements' results here.
            guard let result = try nextResult(doing: doing) else { continue }
            if result.status == PGRES_PIPELINE_SYNC {
                synced = true
            } else if result.isError {
                if failed == nil { failed = failure(of: result, doing: doing) }
                guard isConnected else { break }
            } else {
                affected.append(result.affectedRows)
            }
        }
        if isConnected, unsafe PQexitPipelineMode(handle) != 1 { throw brokenConnection(doing) }
        if let failed { throw failed }
        return affected
    }

    private mutating func prepare(_ statement: Statement, doing: StaticString) throws(StoreFailure) {
        let name = "\(statement.name)"
        guard !prepared.contains(name) else { return }
        guard unsafe PQsendPrepare(handle, name, "\(statement.sql)", 0, nil) == 1 else {
            throw brokenConnection(doing)
        }
        try flush(doing: doing)
        _ = try lastResult(doing: doing)
        prepared.insert(name)
    }

    private mutating func send(
        _ statement: Statement, _ parameters: PostgresParameters, doing: StaticString
    ) throws(StoreFailure) {
        let lengths = parameters.ranges.map { Int32(truncatingIfNeeded: $0?.count ?? 0) }
        let formats = [Int32](repeating: 1, count: lengths.count)
        let sent = unsafe parameters.bytes.withUnsafeBytes { memory in
            // An empty value still needs a pointer: nil is null.
            let empty: StaticString = ""
            let values = unsafe parameters.ranges.map { range -> UnsafePointer<CChar>? in
                guard let range else { return nil }
                guard let base = memory.baseAddress, !range.isEmpty else {
                    return unsafe UnsafeRawPointer(empty.utf8Start).assumingMemoryBound(to: CChar.self)
                }
                return unsafe base.advanced(by: range.lowerBound).assumingMemoryBound(to: CChar.self)
            }
            return unsafe PQsendQueryPrepared(
                handle, "\(statement.name)", Int32(truncatingIfNeeded: values.count), values, lengths, formats, 1)
        }
        guard sent == 1 else { throw brokenConnection(doing) }
    }

    /// Runs several `COPY … FROM STDIN (FORMAT binary)` commands, given in one string, each from its buffer.
    mutating func copy(
        _ sql: StaticString, from buffers: [CopyBuffer], doing: StaticString
    ) throws(StoreFailure) {
        guard unsafe PQsendQuery(handle, "\(sql)") == 1 else { throw brokenConnection(doing) }
        try flush(doing: doing)
        for buffer in buffers {
            guard let ready = try nextResult(doing: doing) else { throw brokenConnection(doing) }
            guard ready.status == PGRES_COPY_IN else {
                let refused = failure(of: ready, doing: doing)
                if isConnected { _ = try lastResult(doing: doing) }
                throw refused
            }
            try send(buffer, doing: doing)
            guard let done = try nextResult(doing: doing) else { throw brokenConnection(doing) }
            if done.isError {
                let refused = failure(of: done, doing: doing)
                if isConnected { _ = try lastResult(doing: doing) }
                throw refused
            }
            guard done.affectedRows == buffer.rowCount else { throw brokenConnection(doing) }
        }
        _ = try lastResult(doing: doing)
    }

    private mutating func send(_ buffer: CopyBuffer, doing: StaticString) throws(StoreFailure) {
        let chunk = 256 << 10
        var start = 0
        while start < buffer.count {
            let sent = unsafe buffer.withChunk(from: start, limit: chunk) { bytes, size in
                unsafe PQputCopyData(handle, bytes, size)
            }
            switch sent {
            case 1: start += chunk
            case 0: try wait(for: Int16(1 | 4), doing: doing)
            default: throw brokenConnection(doing)
            }
            try flush(doing: doing)
        }
        while true {
            switch unsafe PQputCopyEnd(handle, nil) {
            case 1: return try flush(doing: doing)
            case 0: try flush(doing: doing)
            default: throw brokenConnection(doing)
            }
        }
    }
}

extension PostgresResult {
    var isError: Bool {
        status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_PIPELINE_ABORTED
            || status == PGRES_NONFATAL_ERROR
    }
}
