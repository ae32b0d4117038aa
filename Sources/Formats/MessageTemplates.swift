/// What e-mails and text messages say. Which places there are is all that such a message can tell: no name, no value
/// and no time of a measurement is among them.
public struct MessageTemplates: Hashable, Sendable {
    public static let places: Set<String> = [
        // `red`, `RED`; `clinical` or `technical`; the rule in words; the patient's, device's or site's code.
        "severity", "severity_in_capitals", "class", "title", "subject", "site",
        // When the alert was raised, in UTC; ` (late)` where it is; where the alert stands behind a login.
        "raised_at", "late", "url",
    ]

    public var emailSubject: TextTemplate
    public var emailBody: TextTemplate
    public var sms: TextTemplate

    public init(emailSubject: TextTemplate, emailBody: TextTemplate, sms: TextTemplate) {
        self.emailSubject = emailSubject
        self.emailBody = emailBody
        self.sms = sms
    }

    /// What is wrong in a template.
    public struct Fault: Error, Hashable, Sendable {
        /// Counted from 1.
        public var line: Int
        public var message: String
    }

    /// `email.txt`: remarks (lines that begin with `#`), `Subject: …`, an empty line, the body.
    public static func email(_ text: String) throws(Fault) -> (subject: TextTemplate, body: TextTemplate) {
        let (lines, first) = withoutRemarks(text)
        guard let head = lines.first, head.hasPrefix("Subject: "), lines.count > 2, lines[1].isEmpty else {
            throw Fault(line: first, message: "expected \"Subject: …\", an empty line and a body")
        }
        let subject = try template(String(head.dropFirst("Subject: ".count)), from: first)
        let body = try template(lines.dropFirst(2).joined(separator: "\n"), from: first + 2)
        return (subject, body)
    }

    /// `sms.txt`: remarks, then one line.
    public static func sms(_ text: String) throws(Fault) -> TextTemplate {
        let (lines, first) = withoutRemarks(text)
        guard let line = lines.first, !line.isEmpty, lines.dropFirst().allSatisfy(\.isEmpty) else {
            throw Fault(line: first, message: "expected one line")
        }
        return try template(String(line), from: first)
    }

    private static func withoutRemarks(_ text: String) -> (lines: [Substring], first: Int) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasSuffix("\r") ? line.dropLast() : line
        }
        let body = lines.drop { $0.hasPrefix("#") }
        return (Array(body), lines.count - body.count + 1)
    }

    private static func template(_ text: String, from line: Int) throws(Fault) -> TextTemplate {
        do throws(TextTemplate.UnknownPlace) {
            return try TextTemplate(text, places: places)
        } catch {
            throw Fault(
                line: line + error.line - 1,
                message: "there is no place {\(error.name)}: known are \(places.sorted().joined(separator: ", "))")
        }
    }
}
