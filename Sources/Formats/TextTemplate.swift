/// A text with places in it, such as `{severity}`, that are filled in one pass: what is put in is never read as a place.
/// Pure.
public struct TextTemplate: Hashable, Sendable {
    private enum Piece: Hashable, Sendable {
        case text(String)
        case place(String)
    }

    /// A place that no message has.
    public struct UnknownPlace: Error, Hashable, Sendable {
        public var name: String
        /// Counted from 1.
        public var line: Int
    }

    private var pieces: [Piece] = []

    /// Every `{word}` of small letters and `_` is a place and must be one of `places`.
    public init(_ text: String, places: Set<String>) throws(UnknownPlace) {
        pieces = Self.pieces(of: text) { Self.isWord($0) }
        var line = 1
        for piece in pieces {
            switch piece {
            case .text(let text): line += text.utf8.count { $0 == UInt8(ascii: "\n") }
            case .place(let name): if !places.contains(name) { throw UnknownPlace(name: name, line: line) }
            }
        }
    }

    /// Only these are places; other braces stay as they are, as JSON has them.
    public init(_ text: String, onlyPlaces places: Set<String>) {
        pieces = Self.pieces(of: text) { places.contains($0) }
    }

    /// The names that stand in it.
    public var places: Set<String> {
        Set(pieces.compactMap { if case .place(let name) = $0 { name } else { nil } })
    }

    /// The text with each place's value. A value that is not given is nothing.
    public func filled(_ value: (String) -> String) -> String {
        var text = ""
        for piece in pieces {
            switch piece {
            case .text(let literal): text += literal
            case .place(let name): text += value(name)
            }
        }
        return text
    }

    private static func isWord(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "_") }
    }

    private static func pieces(of text: String, _ isPlace: (String) -> Bool) -> [Piece] {
        var pieces: [Piece] = []
        var literal = ""
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            literal += rest[..<open]
            let inside = rest[rest.index(after: open)...]
            if let close = inside.firstIndex(of: "}"), isPlace(String(inside[..<close])) {
                if !literal.isEmpty { pieces.append(.text(literal)) }
                literal = ""
                pieces.append(.place(String(inside[..<close])))
                rest = inside[inside.index(after: close)...]
            } else {
                literal += "{"
                rest = inside
            }
        }
        literal += rest
        if !literal.isEmpty { pieces.append(.text(literal)) }
        return pieces
    }
}
