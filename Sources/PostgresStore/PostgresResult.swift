internal import CPQ
internal import Clinical

/// One result of libpq, freed with its owner. Values are PostgreSQL's binary format.
///
/// Reading a row or column that is not there, or a value of another length than its type's, gives nil: what came is
/// checked, never assumed.
@safe struct PostgresResult: ~Copyable {
    /// Microseconds from 1970 to PostgreSQL's epoch, 2000-01-01.
    static let epoch: Int64 = 946_684_800_000_000

    private let handle: OpaquePointer

    init(owning handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe PQclear(handle) }

    var status: ExecStatusType { unsafe PQresultStatus(handle) }

    var rowCount: Int { Int(unsafe PQntuples(handle)) }

    /// How many rows the command changed; 0 where that makes no sense.
    var affectedRows: Int {
        guard let text = unsafe PQcmdTuples(handle) else { return 0 }
        return Int(unsafe String(cString: text)) ?? 0
    }

    var commandTag: String {
        guard let text = unsafe PQcmdStatus(handle) else { return "" }
        return unsafe String(cString: text)
    }

    /// A field of an error report, such as `sqlStateField`.
    func errorField(_ field: UnicodeScalar) -> String? {
        guard let text = unsafe PQresultErrorField(handle, Int32(field.value)) else { return nil }
        return unsafe String(cString: text)
    }

    func withBytes<Value>(_ row: Int, _ column: Int, _ body: (UnsafeRawBufferPointer) -> Value?) -> Value? {
        guard let row = Int32(exactly: row), let column = Int32(exactly: column), row >= 0, column >= 0,
            unsafe row < PQntuples(handle), unsafe column < PQnfields(handle),
            unsafe PQgetisnull(handle, row, column) == 0, let start = unsafe PQgetvalue(handle, row, column)
        else { return nil }
        let length = unsafe Int(PQgetlength(handle, row, column))
        return unsafe body(UnsafeRawBufferPointer(start: start, count: length))
    }

    private func integer<Number: FixedWidthInteger>(_ row: Int, _ column: Int, _: Number.Type) -> Number? {
        unsafe withBytes(row, column) { bytes in
            guard bytes.count == MemoryLayout<Number>.size else { return nil }
            return unsafe Number(bigEndian: bytes.loadUnaligned(as: Number.self))
        }
    }

    func int16(_ row: Int, _ column: Int) -> Int16? { integer(row, column, Int16.self) }
    func int32(_ row: Int, _ column: Int) -> Int32? { integer(row, column, Int32.self) }
    func int64(_ row: Int, _ column: Int) -> Int64? { integer(row, column, Int64.self) }
    func double(_ row: Int, _ column: Int) -> Double? {
        integer(row, column, UInt64.self).map { Double(bitPattern: $0) }
    }
    func boolean(_ row: Int, _ column: Int) -> Bool? { integer(row, column, UInt8.self).map { $0 != 0 } }

    func instant(_ row: Int, _ column: Int) -> Instant? {
        guard let microseconds = int64(row, column) else { return nil }
        let (sum, overflow) = microseconds.addingReportingOverflow(Self.epoch)
        return Instant(microseconds: overflow ? .max : sum)
    }

    func bytes(_ row: Int, _ column: Int) -> [UInt8]? { unsafe withBytes(row, column) { unsafe Array($0) } }

    /// Text in either format.
    func text(_ row: Int, _ column: Int) -> String? {
        unsafe withBytes(row, column) { unsafe String(decoding: $0, as: UTF8.self) }
    }

    func identifier(_ row: Int, _ column: Int, grammar: Identifier.Grammar = .topic) -> Identifier? {
        bytes(row, column).flatMap { Identifier($0.span, grammar: grammar) }
    }

    func uuid(_ row: Int, _ column: Int) -> (high: UInt64, low: UInt64)? {
        unsafe withBytes(row, column) { bytes in
            guard bytes.count == 16 else { return nil }
            return unsafe (
                UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }
}
