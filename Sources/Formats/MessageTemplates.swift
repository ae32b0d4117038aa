/// What e-mails and text messages say. Which places there are is all that such a message can tell: no name, no value
/// and no time of a measurement is among them.
public struct MessageTemplates: Hashable, Sendable {
    public static let places: Set<String> = [
        // `red`, `RED`; `clinical` or `technical`; the rule in words; the patient's, device's or site's code.
        "severity", "severity_in_capitals", "class", "title", "subject", "site",
        // When the alert was raised, in UTC; ` (late)` where it is; where the alert stands behind a login.
        "raised_at", "late", "url",
    ]

    /// What may stand in the line of an alert among several.
    public static let linePlaces = places.union(["state"])
    /// What may stand in a message of several alerts.
    public static let gatheredPlaces: Set<String> = [
        // The worst one's; how many alerts; of how many patients and others; red alerts that nobody has acknowledged.
        "severity", "severity_in_capitals", "count", "subjects", "open_reds",
        // Of one patient's alerts: his code. The sites' codes; when the first was raised; the worklist, behind a login.
        "subject", "site", "raised_at", "url",
        // A line each; their rules in words.
        "alerts", "titles",
    ]

    /// What a message of several alerts says.
    public struct Gathered: Hashable, Sendable {
        public var emailSubject: TextTemplate
        /// Of each alert, in the body's `{alerts}`.
        public var emailLine: TextTemplate
        public var emailBody: TextTemplate
        public var sms: TextTemplate

        public init(
            emailSubject: TextTemplate, emailLine: TextTemplate, emailBody: TextTemplate, sms: TextTemplate
        ) {
            self.emailSubject = emailSubject
            self.emailLine = emailLine
            self.emailBody = emailBody
            self.sms = sms
        }
    }

    public var emailSubject: TextTemplate
    public var emailBody: TextTemplate
    public var sms: TextTemplate
    /// Several alerts of one patient.
    public var patient: Gathered
    /// Alerts of several patients, and those that waited for the morning.
    public var digest: Gathered

    public init(
        emailSubject: TextTemplate, emailBody: TextTemplate, sms: TextTemplate, patient: Gathered, digest: Gathered
    ) {
        self.emailSubject = emailSubject
        self.emailBody = emailBody
        self.sms = sms
        self.patient = patient
        self.digest = digest
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

    /// `email-patient.txt` and `email-digest.txt`: remarks, `Subject: …`, `Alert: …` (the line of each), an empty line,
    /// the body.
    public static func gatheredEmail(
        _ text: String
    ) throws(Fault) -> (subject: TextTemplate, line: TextTemplate, body: TextTemplate) {
        let (lines, first) = withoutRemarks(text)
        guard lines.count > 3, lines[0].hasPrefix("Subject: "), lines[1].hasPrefix("Alert: "), lines[2].isEmpty else {
            throw Fault(line: first, message: "expected \"Subject: …\", \"Alert: …\", an empty line and a body")
        }
        let subject = try template(String(lines[0].dropFirst("Subject: ".count)), from: first, gatheredPlaces)
        let line = try template(String(lines[1].dropFirst("Alert: ".count)), from: first + 1, linePlaces)
        let body = try template(lines.dropFirst(3).joined(separator: "\n"), from: first + 3, gatheredPlaces)
        return (subject, line, body)
    }

    /// `sms-patient.txt` and `sms-digest.txt`: remarks, then one line.
    public static func gatheredSMS(_ text: String) throws(Fault) -> TextTemplate {
        try sms(text, gatheredPlaces)
    }

    /// `sms.txt`: remarks, then one line.
    public static func sms(_ text: String) throws(Fault) -> TextTemplate { try sms(text, places) }

    private static func sms(_ text: String, _ places: Set<String>) throws(Fault) -> TextTemplate {
        let (lines, first) = withoutRemarks(text)
        guard let line = lines.first, !line.isEmpty, lines.dropFirst().allSatisfy(\.isEmpty) else {
            throw Fault(line: first, message: "expected one line")
        }
        return try template(String(line), from: first, places)
    }

    private static func withoutRemarks(_ text: String) -> (lines: [Substring], first: Int) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasSuffix("\r") ? line.dropLast() : line
        }
        let body = lines.drop { $0.hasPrefix("#") }
        return (Array(body), lines.count - body.count + 1)
    }

    private static func template(
        _ text: String, from line: Int, _ places: Set<String> = places
    ) throws(Fault) -> TextTemplate {
        do throws(TextTemplate.UnknownPlace) {
            return try TextTemplate(text, places: places)
        } catch {
            throw Fault(
                line: line + error.line - 1,
                message: "there is no place {\(error.name)}: known are \(places.sorted().joined(separator: ", "))")
        }
    }
}
