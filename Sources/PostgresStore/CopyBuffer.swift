internal import Clinical

/// Rows of one binary COPY, in memory of its own that is kept from batch to batch. One thread.
@safe final class CopyBuffer {
    /// `PGCOPY\n\377\r\n\0`, no flags, no header extension.
    private static let header: [UInt8] = [
        0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00, 0, 0, 0, 0, 0, 0, 0, 0,
    ]
    /// Beyond this a batch's memory is given back after it was sent.
    private static let keptCapacity = 8 << 20

    private var memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0
    private(set) var rowCount = 0

    init() {
        unsafe memory = .allocate(byteCount: 1 << 16, alignment: 16)
        reset()
    }

    deinit { unsafe memory.deallocate() }

    /// Empties it and writes the header.
    func reset() {
        if unsafe memory.count > Self.keptCapacity {
            unsafe memory.deallocate()
            unsafe memory = .allocate(byteCount: 1 << 16, alignment: 16)
        }
        count = 0
        rowCount = 0
        append(Self.header)
    }

    /// Makes room for that many more bytes.
    private func reserve(_ more: Int) {
        guard unsafe count + more > memory.count else { return }
        let larger = unsafe UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(memory.count * 2, count + more), alignment: 16)
        unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[..<count]))
        unsafe memory.deallocate()
        unsafe memory = larger
    }

    private func append(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe append($0) }
    }

    private func append(_ bytes: UnsafeRawBufferPointer) {
        reserve(bytes.count)
        guard let source = bytes.baseAddress, let base = unsafe memory.baseAddress else { return }
        unsafe base.advanced(by: count).copyMemory(from: source, byteCount: bytes.count)
        count += bytes.count
    }

    private func store<Number: FixedWidthInteger>(_ number: Number) {
        let size = MemoryLayout<Number>.size
        reserve(size)
        unsafe memory.storeBytes(of: number.bigEndian, toByteOffset: count, as: Number.self)
        count += size
    }

    func beginRow(columns: Int16) {
        store(columns)
        rowCount += 1
    }

    func finish() { store(Int16(-1)) }

    func null() { store(Int32(-1)) }

    func number<Number: FixedWidthInteger>(_ number: Number) {
        store(Int32(MemoryLayout<Number>.size))
        store(number)
    }

    func number(_ number: Double) { self.number(number.bitPattern) }

    func boolean(_ value: Bool) { number(UInt8(value ? 1 : 0)) }

    func instant(_ instant: Instant) { number(PostgresParameters.timestamp(instant)) }

    func bytes(_ bytes: [UInt8]) {
        store(Int32(truncatingIfNeeded: bytes.count))
        append(bytes)
    }

    func text(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            store(Int32(truncatingIfNeeded: utf8.count))
            unsafe append(UnsafeRawBufferPointer(utf8))
        }
    }

    func identifier(_ identifier: Identifier) {
        store(Int32(truncatingIfNeeded: identifier.count))
        reserve(identifier.count)
        for index in 0..<identifier.count { unsafe memory[count + index] = identifier[index] }
        count += identifier.count
    }

    /// A text[]; null when empty.
    func texts(_ texts: [String]) {
        guard !texts.isEmpty else { return null() }
        var array = PostgresParameters()
        array.addTexts(of: texts) { $0 }
        bytes(array.bytes)
    }

    /// The bytes from `start`, at most `limit`.
    func withChunk<Value>(from start: Int, limit: Int, _ body: (UnsafePointer<CChar>, Int32) -> Value) -> Value? {
        let size = min(limit, count - start)
        guard size > 0, let base = unsafe memory.baseAddress else { return nil }
        return unsafe body(
            UnsafePointer(base.advanced(by: start).assumingMemoryBound(to: CChar.self)), Int32(truncatingIfNeeded: size)
        )
    }
}
