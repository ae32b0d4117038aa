import Formats
import Foundation
import Testing

/// What Foundation makes of a JSON text.
private indirect enum FoundationValue: Decodable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([FoundationValue])
    case object([String: FoundationValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let bool = try? container.decode(Bool.self) {
            self = .bool(bool)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .string(text)
        } else if let elements = try? container.decode([FoundationValue].self) {
            self = .array(elements)
        } else {
            self = .object(try container.decode([String: FoundationValue].self))
        }
    }

    init(_ value: JSONValue) {
        switch value {
        case .null: self = .null
        case .bool(let bool): self = .bool(bool)
        case .number(let number): self = .number(number)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .array(elements.map(FoundationValue.init))
        case .object(let members):
            // A Dictionary takes canonically equivalent names for one.
            self = .object(
                Dictionary(members.map { ($0.0, FoundationValue($0.1)) }, uniquingKeysWith: { first, _ in first }))
        }
    }
}

/// Writes random JSON texts, well-formed by construction.
private struct Documents {
    var generator: SeededGenerator

    mutating func number(below limit: Int) -> Int { .random(in: 0..<limit, using: &generator) }

    mutating func pick(_ texts: [String]) -> String { texts[number(below: texts.count)] }

    mutating func space() -> String { number(below: 6) == 0 ? pick([" ", "\n", "\t", "\r\n", "  "]) : "" }

    mutating func string() -> String {
        let pieces = [
            "a", "id", "value", "kind", "é", "😀", "\u{7F}", "\u{2028}", " ", "/", "0", #"\n"#, #"\""#, #"\\"#, #"\/"#,
            #"\b"#, #"\u0041"#, #"\u00e9"#, #"\ud83d\ude00"#, #"\uFFFF"#, "abcdefgh", "mm[Hg]", "x",
        ]
        return "\"" + (0..<number(below: 5)).map { _ in pick(pieces) }.joined() + "\""
    }

    mutating func numeral() -> String {
        switch number(below: 6) {
        case 0:
            return pick(["0", "-0", "1e2", "1E-2", "0.1", "4.9e-324", "1.7976931348623157e308", "-0.0e-5", "1e-400"])
        case 1: return String(Double(bitPattern: generator.next() & ~(1 << 62)))
        case 2: return String(Int64(bitPattern: generator.next()))
        case 3: return "\(number(below: 300)).\(number(below: 1000))"
        case 4: return "\(generator.next())\(generator.next()).\(generator.next())e-\(number(below: 60))"
        default: return "\(number(below: 300))"
        }
    }

    mutating func value(depth: Int) -> String {
        let text: String
        switch number(below: depth > 5 ? 4 : 7) {
        case 0: text = string()
        case 1, 2: text = numeral()
        case 3: text = pick(["true", "false", "null"])
        case 4, 5:
            var members: [String] = []
            for _ in 0..<number(below: 5) {
                members.append(space() + string() + space() + ":" + value(depth: depth + 1))
            }
            text = "{" + members.joined(separator: ",") + space() + "}"
        default:
            let elements = (0..<number(below: 5)).map { _ in value(depth: depth + 1) }
            text = "[" + elements.joined(separator: ",") + space() + "]"
        }
        return space() + text + space()
    }

    /// `bytes` with some of them changed, taken out, doubled or put in, mostly from the grammar's own characters.
    mutating func spoil(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        let syntax = Array(#"{}[]",:\/u0123456789eE+-. tfnabd"#.utf8)
        for _ in 0...number(below: 3) where !bytes.isEmpty {
            let index = number(below: bytes.count)
            let byte = number(below: 8) == 0 ? UInt8(number(below: 255) + 1) : syntax[number(below: syntax.count)]
            switch number(below: 4) {
            case 0: bytes[index] = byte
            case 1: bytes.remove(at: index)
            case 2: bytes.insert(bytes[index], at: index)
            default: bytes.insert(byte, at: index)
            }
        }
        return bytes
    }
}

@Suite struct DifferentialTests {
    /// Foundation is the oracle: JSONSerialization of the grammar, JSONDecoder, which takes more, of the values.
    ///
    /// The contract is stricter in four things of content, where nothing is asked of Foundation: duplicate keys (it
    /// keeps one of them), U+0000, lone surrogates and numbers that are no finite double. And in three of form: a
    /// byte order mark, which it steps over; nesting deeper than ours; and UTF-16 and UTF-32, which it knows by
    /// their zero bytes (no text here has one). It is not believed where it departs from RFC 8259 itself: both take
    /// a comma before a closing bracket, and JSONDecoder refuses `0e5` and numbers too small for a double.
    @Test func `the reader agrees with Foundation`() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var documents = Documents(generator: SeededGenerator(seed: seed))
        var (accepted, refused, flawed) = (0, 0, 0)
        for round in 0..<6000 {
            var bytes = Array(documents.value(depth: 0).utf8)
            if round % 3 != 0 { bytes = documents.spoil(bytes) }
            let isTaken = (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil
            do throws(JSONFault) {
                let ours = try JSONReader.value(bytes.span, maximumDepth: 16)
                accepted += 1
                let text = String(decoding: bytes, as: UTF8.self)
                #expect(isTaken, "\(text)")
                let theirs = try? JSONDecoder().decode(FoundationValue.self, from: Data(bytes))
                #expect(theirs == FoundationValue(ours) || theirs == nil && text.contains(/[0-9][eE]/), "\(text)")
            } catch {
                switch error.problem {
                case .duplicateKey, .nulCharacter, .loneSurrogate, .numberOutOfRange: flawed += 1
                case .byteOrderMark, .tooDeep: break
                default:
                    refused += 1
                    #expect(!isTaken || Self.isCommaBeforeEnd(bytes, error.offset), "\(error): \(bytes)")
                }
            }
        }
        // The generator reaches all three.
        #expect(accepted > 1000 && refused > 1000 && flawed > 10)
    }

    private static func isCommaBeforeEnd(_ bytes: [UInt8], _ offset: Int) -> Bool {
        let before = bytes.prefix(offset).last { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        let closing = bytes.dropFirst(offset).first
        return before == UInt8(ascii: ",") && (closing == UInt8(ascii: "]") || closing == UInt8(ascii: "}"))
    }
}
