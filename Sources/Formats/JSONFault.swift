/// What is wrong with a JSON text, and at which byte. Never holds any of the text itself.
public struct JSONFault: Error, Equatable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var problem: Problem
    /// Offset in bytes from the start of the text that was read.
    public var offset: Int

    public init(_ problem: Problem, at offset: Int) {
        self.problem = problem
        self.offset = offset
    }

    public var description: String { "\(problem.description) at byte \(offset)" }

    /// Up to `tooLarge` the text is not well-formed and nothing in it can be trusted; from `duplicateKey` on the
    /// grammar holds and only the content breaks the contract.
    public enum Problem: UInt8, Sendable, BitwiseCopyable, CustomStringConvertible {
        case unexpectedByte, unexpectedEnd, byteOrderMark, invalidUTF8, controlCharacter, badEscape, badNumber
        case tooDeep, bytesAfterEnd, notAnObject, tooLarge
        case duplicateKey, nulCharacter, loneSurrogate, numberOutOfRange

        public var description: String {
            switch self {
            case .unexpectedByte: "unexpected byte"
            case .unexpectedEnd: "the text ends too early"
            case .byteOrderMark: "byte order mark"
            case .invalidUTF8: "invalid UTF-8"
            case .controlCharacter: "control character in a string"
            case .badEscape: "bad escape in a string"
            case .badNumber: "bad number"
            case .tooDeep: "nested too deep"
            case .bytesAfterEnd: "more text after the end"
            case .notAnObject: "not an object"
            case .tooLarge: "larger than the limit"
            case .duplicateKey: "duplicate key"
            case .nulCharacter: "U+0000 in a string"
            case .loneSurrogate: "lone surrogate in a string"
            case .numberOutOfRange: "number beyond the range of a double"
            }
        }
    }
}
