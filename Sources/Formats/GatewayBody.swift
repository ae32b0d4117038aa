/// The body that a text message gateway wants, with `{to}` and `{text}` where the number and the message go. Values are
/// escaped for the body's own form, which its template shows, so that no message can say anything but itself. Pure.
public struct GatewayBody: Hashable, Sendable {
    public enum Form: String, Sendable, CaseIterable {
        case json = "application/json"
        case urlEncoded = "application/x-www-form-urlencoded"
        case xml = "application/xml"
        case plain = "text/plain; charset=utf-8"
    }

    /// Why a template can't be used.
    public enum Fault: Error, Hashable, Sendable {
        case missing(String)
        /// It begins like JSON and is none once the places are filled: they stand in quotes.
        case notJSON
    }

    public let form: Form
    private let template: TextTemplate

    public init(_ text: String) throws(Fault) {
        template = TextTemplate(text, onlyPlaces: ["to", "text"])
        for place in ["to", "text"] where !template.places.contains(place) { throw .missing(place) }
        let start = text.first { !$0.isWhitespace }
        let begins = text.drop { $0.isWhitespace }
        if start == "<" {
            form = .xml
        } else if start == "[" || start == "{" && !begins.hasPrefix("{to}") && !begins.hasPrefix("{text}") {
            form = .json
        } else if Self.isForm(template) {
            form = .urlEncoded
        } else {
            form = .plain
        }
        guard form == .json else { return }
        // Two samples, since one alone might stand outside quotes and be JSON by chance.
        for sample in ["+44\"\\\u{e9}", "0"] {
            let bytes = bytes(to: sample, text: sample)
            guard (try? JSONReader.value(bytes.span, maximumDepth: 64)) != nil else { throw .notJSON }
        }
    }

    /// The body for one message.
    public func bytes(to number: String, text: String) -> [UInt8] { Array(filled(to: number, text: text).utf8) }

    private func filled(to number: String, text: String) -> String {
        template.filled { Self.escaped($0 == "to" ? number : text, for: form) }
    }

    static func escaped(_ value: String, for form: Form) -> String {
        switch form {
        case .json:
            var writer = JSONWriter()
            writer.value(value)
            return String(writer.text.dropFirst().dropLast())
        case .urlEncoded:
            let hexadecimal = Array("0123456789ABCDEF".utf8)
            var bytes: [UInt8] = []
            for byte in value.utf8 {
                if isUnreserved(byte) {
                    bytes.append(byte)
                } else {
                    bytes += [UInt8(ascii: "%"), hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
                }
            }
            return String(decoding: bytes, as: UTF8.self)
        case .xml:
            var text = ""
            for scalar in value.unicodeScalars {
                switch scalar {
                case "&": text += "&amp;"
                case "<": text += "&lt;"
                case ">": text += "&gt;"
                case "\"": text += "&quot;"
                case "'": text += "&apos;"
                default: text.unicodeScalars.append(isControl(scalar) ? " " : scalar)
                }
            }
            return text
        case .plain:
            var text = ""
            for scalar in value.unicodeScalars { text.unicodeScalars.append(isControl(scalar) ? " " : scalar) }
            return text
        }
    }

    private static func isForm(_ template: TextTemplate) -> Bool {
        let sample = template.filled { _ in "x" }
        return sample.utf8.allSatisfy { isUnreserved($0) || "&=%+".utf8.contains($0) }
            && sample.split(separator: "&", omittingEmptySubsequences: false).allSatisfy {
                $0.contains("=") && !$0.hasPrefix("=")
            }
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "-._~".utf8.contains(byte)
        }
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
    }
}
