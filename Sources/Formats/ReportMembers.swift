import Clinical

/// The walk over the members of the contract's objects.
extension ReportDecoder {
    /// An object that is open, and which of its fields were met.
    struct Members {
        fileprivate var object: JSONScanner.Container
        fileprivate let shape: Shape
        /// Which field of the shape most likely comes next.
        fileprivate var expected: Int
        fileprivate(set) var seen: ReportField.Mask = 0
        fileprivate(set) var hasTwoIDs = false

        init(_ object: JSONScanner.Container, _ shape: Shape) {
            self.object = object
            self.shape = shape
            expected = shape.first
        }
    }

    /// The fields of one of the contract's objects, as a part of `order`.
    struct Shape: BitwiseCopyable {
        var first: Int
        var end: Int
        var own: ReportField.Mask

        static let report = Shape(first: 0, end: 7, own: 0b111_1111)
        static let reading = Shape(first: 7, end: 11, own: 0b1111 << 7)
        static let answer = Shape(first: 11, end: 13, own: 1 << 11 | 1 << 8)
    }

    /// The fields in the order in which the contract shows them and readers send them.
    static let order: [ReportField] = [
        .id, .takenAt, .sentAt, .seq, .readings, .answers, .battery, .kind, .value, .unit, .flags, .question, .value,
    ]

    /// Steps to the value of the next member that is one of the object's fields and stands there for the first time;
    /// nil after the object's end. Members that the contract does not name are read over, and so are repeated ones,
    /// which are noted as a fault.
    @inline(__always)
    mutating func nextField(_ bytes: Span<UInt8>, of members: inout Members) throws(JSONFault) -> ReportField? {
        // Mostly the members come in the order of the contract: then one comparison finds and reads the name.
        if members.expected < members.shape.end {
            let name = expectedNames[members.expected]
            if members.seen & name.mask == 0, scanner.step(over: name, bytes, in: &members.object) != nil {
                members.expected += 1
                members.seen |= name.mask
                place.field = name.field
                return name.field
            }
        }
        return try nextFieldInAnyOrder(bytes, of: &members)
    }

    @inline(never)
    private mutating func nextFieldInAnyOrder(
        _ bytes: Span<UInt8>, of members: inout Members
    ) throws(JSONFault) -> ReportField? {
        while true {
            var known: ReportField?
            let start: Int
            if members.expected < members.shape.end,
                let found = scanner.step(over: expectedNames[members.expected], bytes, in: &members.object)
            {
                start = found
                known = expectedNames[members.expected].field
                members.expected += 1
            } else {
                guard let name = try scanner.nextName(bytes, in: &members.object) else { return nil }
                start = name.start
                known = scanner.find(name, bytes, in: fields)
                if let field = known, members.shape.own & field.mask != 0 {
                    expect(after: field, of: &members)
                } else {
                    known = nil
                    scanner.remember(name, bytes)
                }
            }
            if let field = known {
                place.field = field
                if members.seen & field.mask == 0 {
                    members.seen |= field.mask
                    return field
                }
                note(.duplicate, at: start)
                if field == .id { members.hasTwoIDs = true }
            }
            try scanner.skipValue(bytes)
        }
    }

    private func expect(after field: ReportField, of members: inout Members) {
        for index in members.shape.first..<members.shape.end where expectedNames[index].field == field {
            members.expected = index + 1
        }
    }

    mutating func note(_ problem: ContentFault.Problem, at offset: Int) {
        if fault == nil { fault = ContentFault(problem: problem, place: place, offset: offset) }
    }

    /// At the end of an object.
    mutating func require(_ field: ReportField, _ members: Members) {
        guard members.seen & field.mask == 0 else { return }
        place.field = field
        note(.missing, at: scanner.index - 1)
        place.field = nil
    }
}
