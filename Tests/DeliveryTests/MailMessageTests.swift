import Clinical
import Foundation
import Testing

@testable import Delivery

@Suite struct MailMessageTests {
    private static func message(subject: String, body: String = "x") throws -> MailMessage {
        MailMessage(
            sender: try #require(MailAddress("homeward@example.org")),
            recipient: try #require(MailAddress("cm-01@example.org")), key: try #require(MailMessage.Key("k-1")),
            subject: subject, body: body, date: Instant(microseconds: 1_795_421_732_900_000), isUrgent: false)
    }

    /// What Python's own reader makes of a message: subject, names of the headers, body.
    private static func read(_ message: MailMessage) throws -> [String] {
        let script = """
            import sys, email, email.policy, json
            m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
            body = m.get_payload(decode=True).decode("utf-8")
            print(json.dumps([str(m["subject"]), ",".join(m.keys()), body, str(len(m.defects))]))
            """
        let output = try runProgram("/usr/bin/python3", ["-c", script], input: Data(message.bytes))
        return try JSONDecoder().decode([String].self, from: Data(output.utf8))
    }

    private static let names =
        "Date,From,To,Message-ID,Subject,Auto-Submitted,MIME-Version,Content-Type,Content-Transfer-Encoding"

    @Test(arguments: [
        "RED: SpO2 low, P0001", "Größe über Ziel", "=?utf-8?Q?x?=", "赤 " + String(repeating: "漢字", count: 60),
        String(repeating: "long ", count: 300),
    ])
    func `a subject reads as it was written`(subject: String) throws {
        let read = try Self.read(Self.message(subject: subject))
        #expect(read[0] == String(subject.prefix(500)))
        #expect(read[1] == Self.names && read[3] == "0")
    }

    @Test(arguments: [
        "a\r\nBcc: x@y", "a\nBcc: x@y", "a\rBcc: x@y", "\r\n\r\nbody", "a\u{2028}Bcc: x@y", "\u{85}x", "\0",
    ])
    func `no subject begins another header`(subject: String) throws {
        let read = try Self.read(Self.message(subject: subject))
        #expect(read[1] == Self.names && read[2] == "x\r\n")
    }

    @Test(arguments: [
        "plain", "trailing space \nand tab\t\nend ", "= equals =41 é 漢字", ".\n..\n.dot", "\n\n\n",
        String(repeating: "x", count: 500), String(repeating: "é", count: 200), "a\r\nb", "From here",
    ])
    func `a body reads as it was written, in short lines of ASCII`(body: String) throws {
        let message = try Self.message(subject: "s", body: body)
        let lines = String(decoding: message.bytes, as: UTF8.self).components(separatedBy: "\r\n")
        #expect(lines.allSatisfy { $0.utf8.count <= 78 && $0.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } })
        #expect(try Self.read(message)[2] == body.replacing("\r\n", with: "\n").replacing("\n", with: "\r\n") + "\r\n")
    }

    @Test(arguments: [0, 86_399, 951_782_400, 1_795_421_732, 4_102_444_799, 1_735_689_599] as [Int64])
    func `dates are those of the calendar`(seconds: Int64) {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "UTC")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss '+0000'"
        #expect(
            MailDate.text(Instant(microseconds: seconds * 1_000_000))
                == formatter.string(from: Date(timeIntervalSince1970: Double(seconds))))
    }
}
