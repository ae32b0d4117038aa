import Clinical
import Formats

/// An e-mail as RFC 5322 has it: ASCII throughout, each line under 78 characters where that is in our hands, ended by
/// CRLF. Nothing that is put into it can begin another header: addresses and the key are of types that hold no line
/// end, and the subject is encoded unless it is printable ASCII.
struct MailMessage: Hashable, Sendable {
    /// What a Message-ID's first half may be: the delivery's key.
    struct Key: Hashable, Sendable {
        let text: String

        init?(_ text: String) {
            guard !text.isEmpty, text.utf8.count <= 255,
                text.utf8.allSatisfy({ byte in
                    switch byte {
                    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                    default: byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                    }
                })
            else { return nil }
            self.text = text
        }
    }

    var sender: MailAddress
    var recipient: MailAddress
    var key: Key
    var subject: String
    var body: String
    var date: Instant
    var isUrgent: Bool

    var bytes: [UInt8] {
        var lines = [
            "Date: \(MailDate.text(date))",
            "From: Homeward <\(sender.text)>",
            "To: <\(recipient.text)>",
            // The same on every attempt, so that a repeat can be told from a second alert.
            "Message-ID: <\(key.text)@\(sender.domain)>",
            "Subject: \(EncodedWord.header(subject))",
            // No vacation notice answers it.
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: quoted-printable",
        ]
        if isUrgent { lines.append("Importance: high") }
        lines.append("")
        lines += QuotedPrintable.lines(body)
        return lines.flatMap { Array($0.utf8) + [0x0D, 0x0A] }
    }
}

/// `Mon, 23 Nov 2026 08:15:32 +0000`.
enum MailDate {
    static func text(_ instant: Instant) -> String {
        // `2026-11-23T08:15:32…`, always in UTC.
        let digits = Array(RFC3339.format(instant).utf8)
        func number(_ range: Range<Int>) -> Int {
            range.upperBound > digits.count ? 0 : digits[range].reduce(0) { $0 * 10 + Int($1) - 0x30 }
        }
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let month = number(5..<7)
        let name = months.indices.contains(month - 1) ? months[month - 1] : "Jan"
        // Day 0 of the epoch was a Thursday.
        let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let day = (instant.microseconds / 86_400_000_000) % 7
        let weekday = days[Int((day + 7) % 7)]
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(weekday), \(two(number(8..<10))) \(name) \(number(0..<4)) "
            + "\(two(number(11..<13))):\(two(number(14..<16))):\(two(number(17..<19))) +0000"
    }
}

/// RFC 2047, for a subject that is more than printable ASCII.
enum EncodedWord {
    static func header(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } && text.utf8.count <= 900
        // "=?" would be read as such a word.
        if isPlain, !text.contains("=?") { return text }
        var words: [String] = []
        var word = ""
        for character in text.prefix(500) {
            var encoded = ""
            for scalar in character.unicodeScalars {
                let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
                for byte in String(isControl ? " " : scalar).utf8 { encoded += Self.encoded(byte) }
            }
            // Whole characters only, at most 75 in all with what stands around them.
            if word.utf8.count + encoded.utf8.count > 60, !word.isEmpty {
                words.append("=?utf-8?Q?\(word)?=")
                word = ""
            }
            word += encoded
        }
        words.append("=?utf-8?Q?\(word)?=")
        return words.joined(separator: "\r\n ")
    }

    private static func encoded(_ byte: UInt8) -> String {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: String(Unicode.Scalar(byte))
        case 0x20: "_"
        default: QuotedPrintable.encoded(byte)
        }
    }
}

/// RFC 2045, section 6.7.
enum QuotedPrintable {
    /// Lines of at most 76 characters, without their ends.
    static func lines(_ text: String) -> [String] {
        var lines: [String] = []
        for line in text.replacing("\r\n", with: "\n").split(separator: "\n", omittingEmptySubsequences: false) {
            let bytes = Array(line.utf8)
            var current = ""
            for (index, byte) in bytes.enumerated() {
                let isLast = index == bytes.count - 1
                // A space at the end of a line would be lost on its way.
                let isKept = byte >= 0x21 && byte < 0x7F && byte != UInt8(ascii: "=") || byte == 0x20 && !isLast
                let part = isKept ? String(Unicode.Scalar(byte)) : encoded(byte)
                if current.utf8.count + part.utf8.count > 75 {
                    lines.append(current + "=")
                    current = ""
                }
                current += part
            }
            lines.append(current)
        }
        return lines
    }

    static func encoded(_ byte: UInt8) -> String {
        let digits = Array("0123456789ABCDEF".unicodeScalars)
        return "=\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
    }
}
