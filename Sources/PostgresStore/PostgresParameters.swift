internal import Clinical

/// The parameters of one prepared statement, all in binary format: libpq's text parameters stop at NUL without a word.
struct PostgresParameters {
    /// Element types of array parameters, by PostgreSQL's fixed oids.
    enum ElementType: UInt32 {
        case boolean = 16
        case bytea = 17
        case int8 = 20
        case int2 = 21
        case int4 = 23
        case text = 25
        case float8 = 701
        case timestamptz = 1184
        case uuid = 2950
    }

    private(set) var bytes: [UInt8] = []
    /// Where each parameter lies in `bytes`; a nil is a null.
    private(set) var ranges: [Range<Int>?] = []

    private mutating func parameter(_ write: (inout PostgresParameters) -> Void) {
        let start = bytes.count
        write(&self)
        ranges.append(start..<bytes.count)
    }

    mutating func add(_ number: some FixedWidthInteger) { parameter { $0.write(number) } }
    mutating func add(_ number: Double) { parameter { $0.write(number) } }
    mutating func add(_ instant: Instant) { parameter { $0.write(instant) } }
    mutating func add(_ text: String) { parameter { $0.write(text) } }
    mutating func add(_ bytes: [UInt8]) { parameter { $0.bytes += bytes } }
    mutating func add(_ id: (high: UInt64, low: UInt64)) { parameter { $0.write(id) } }
    mutating func addNull() { ranges.append(nil) }
    mutating func add(optional text: String?) { if let text { add(text) } else { addNull() } }
    mutating func add(optional instant: Instant?) { if let instant { add(instant) } else { addNull() } }

    /// A one-dimensional array. `write` writes one element's bytes, or returns false for a null.
    mutating func addArray<Elements: Collection>(
        _ type: ElementType, of elements: Elements,
        _ write: (Elements.Element, inout PostgresParameters) -> Bool
    ) {
        parameter { parameters in
            parameters.write(Int32(elements.isEmpty ? 0 : 1))
            parameters.write(Int32(1))
            parameters.write(type.rawValue)
            guard !elements.isEmpty else { return }
            parameters.write(Int32(truncatingIfNeeded: elements.count))
            parameters.write(Int32(1))
            for element in elements {
                let start = parameters.bytes.count
                parameters.write(Int32(-1))
                if write(element, &parameters) {
                    parameters.patch(Int32(truncatingIfNeeded: parameters.bytes.count - start - 4), at: start)
                }
            }
        }
    }

    mutating func addTexts<Elements: Collection>(
        of elements: Elements, _ text: (Elements.Element) -> String?
    ) {
        addArray(.text, of: elements) { element, parameters in
            guard let text = text(element) else { return false }
            parameters.write(text)
            return true
        }
    }

    mutating func addNumbers<Elements: Collection, Number: FixedWidthInteger>(
        _ type: ElementType, of elements: Elements, _ number: (Elements.Element) -> Number?
    ) {
        addArray(type, of: elements) { element, parameters in
            guard let number = number(element) else { return false }
            parameters.write(number)
            return true
        }
    }

    mutating func addDoubles<Elements: Collection>(of elements: Elements, _ number: (Elements.Element) -> Double?) {
        addNumbers(.float8, of: elements) { number($0)?.bitPattern }
    }

    mutating func addBooleans<Elements: Collection>(of elements: Elements, _ value: (Elements.Element) -> Bool) {
        addNumbers(.boolean, of: elements) { UInt8(value($0) ? 1 : 0) }
    }

    mutating func addInstants<Elements: Collection>(of elements: Elements, _ instant: (Elements.Element) -> Instant?) {
        addNumbers(.timestamptz, of: elements) { instant($0).map(PostgresParameters.timestamp) }
    }

    /// Microseconds since PostgreSQL's epoch. The ends of our range become its infinities, which the schema refuses.
    static func timestamp(_ instant: Instant) -> Int64 {
        let (difference, overflow) = instant.microseconds.subtractingReportingOverflow(PostgresResult.epoch)
        return overflow ? .min : difference
    }

    mutating func write(_ number: some FixedWidthInteger) {
        unsafe withUnsafeBytes(of: number.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    mutating func write(_ number: Double) { write(number.bitPattern) }
    mutating func write(_ instant: Instant) { write(Self.timestamp(instant)) }
    mutating func write(_ text: String) { bytes.append(contentsOf: text.utf8) }
    mutating func write(raw: [UInt8]) { bytes += raw }

    mutating func write(_ id: (high: UInt64, low: UInt64)) {
        write(id.high)
        write(id.low)
    }

    mutating func write(_ identifier: Identifier) {
        for index in 0..<identifier.count { bytes.append(identifier[index]) }
    }

    private mutating func patch(_ number: Int32, at start: Int) {
        let pattern = UInt32(bitPattern: number)
        for index in 0..<4 { bytes[start + index] = UInt8(truncatingIfNeeded: pattern >> (24 - 8 * UInt32(index))) }
    }
}
