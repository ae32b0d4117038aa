import Alerting
import Clinical
public import Formats

/// Alerts as e-mail through one SMTP server.
///
/// - `starttls`: no STARTTLS, no message; `implicit`: TLS from the first byte. Certificates are always verified, against
///   `caFile` or the system's authorities. Whether `none` is allowed is the configuration's affair.
/// - The Message-ID is the delivery's key: a repeat is the same message to whoever keeps track of it.
/// - 4xx, or no answer within the deadline, is tried again, and so is every refusal of ourselves (login, sender, TLS),
///   which an operator can mend. 5xx of the recipient or of the message is final.
public struct EmailChannel: Sendable {
    public struct Server: Hashable, Sendable {
        public enum Security: Hashable, Sendable {
            case none
            case starttls
            case implicit
        }

        /// A name or an address.
        public var name: String
        public var port: UInt16
        public var security: Security
        public var username: String?
        public var password: String?
        /// PEM file of the authorities to trust instead of the system's.
        public var caFile: String?

        public init(
            name: String, port: UInt16, security: Security, username: String? = nil, password: String? = nil,
            caFile: String? = nil
        ) {
            self.name = name
            self.port = port
            self.security = security
            self.username = username
            self.password = password
            self.caFile = caFile
        }

        /// `smtp:host:port`.
        var host: String { "smtp:\(name.lowercased()):\(port)" }

        var url: String {
            let shown = name.contains(":") && !name.hasPrefix("[") ? "[\(name)]" : name
            return "\(security == .implicit ? "smtps" : "smtp")://\(shown):\(port)"
        }
    }

    let server: Server
    let sender: MailAddress
    private let templates: MessageTemplates
    private let publicURL: String

    /// Nil when `sender` is no address that can stand in a message.
    public init?(server: Server, sender: String, templates: MessageTemplates, publicURL: String) {
        guard let sender = MailAddress(sender) else { return nil }
        self.server = server
        self.sender = sender
        self.templates = templates
        self.publicURL = publicURL
    }

    func request(for job: DeliveryJob, at now: Instant) throws(DeliveryRefusal) -> MailRequest {
        guard let text = job.address, !text.isEmpty else { throw .noAddress }
        guard let recipient = MailAddress(text) else { throw .badMail }
        guard let key = MailMessage.Key(job.entry.key) else { throw .badKey }
        let (subject, body) = words(of: job)
        let message = MailMessage(
            sender: sender, recipient: recipient, key: key, subject: subject, body: body, date: now,
            isUrgent: job.episode.severity == .red)
        return MailRequest(server: server, sender: sender, recipient: recipient, bytes: message.bytes)
    }

    private func words(of job: DeliveryJob) -> (subject: String, body: String) {
        guard let gathering = job.gathering, !gathering.isOfOneAlert else {
            let words = AlertWords(
                episode: job.episode, link: alertLink(publicURL, job.episode.id),
                // A site's fallback is told under the site's code, and of nothing else.
                isUnanswered: job.entry.recipient == job.episode.site)
            return (templates.emailSubject.filled(words.value), templates.emailBody.filled(words.value))
        }
        let words = GatheredWords(gathering: gathering, publicURL: publicURL)
        let template = words.template(of: templates)
        let lines = words.lines(template.emailLine)
        return (
            template.emailSubject.filled { words.value(of: $0, lines: lines) },
            template.emailBody.filled { words.value(of: $0, lines: lines) }
        )
    }
}

/// Where the care managers' page shows an alert.
func alertLink(_ publicURL: String, _ alert: AlertID) -> String {
    "\(publicURL.hasSuffix("/") ? String(publicURL.dropLast()) : publicURL)/alerts/\(alert)"
}

/// One e-mail, ready to go.
struct MailRequest: Sendable {
    var server: EmailChannel.Server
    var sender: MailAddress
    var recipient: MailAddress
    var bytes: [UInt8]
}

/// What came of one e-mail.
enum MailResult: Sendable {
    case taken
    case refused(MailReply)
    /// No answer, or only a part of one, or no connection that may be used. The text is libcurl's own.
    case unanswered(String)
}

/// A mail server's refusal.
struct MailReply: Hashable, Sendable {
    var code: Int
    /// What it answers: `RCPT`, or `body` for the message itself; empty for the greeting.
    var command: String
    /// With the code in front.
    var text: String
    var recipient: MailAddress

    /// Another attempt would fare no better: 5xx of the recipient or of the message. 421 says so of the connection, and
    /// what is refused before it is ours or the server's to mend.
    var isFinal: Bool { (500...599).contains(code) && (command == "RCPT" || command == "body") }

    /// For the record: one line of ASCII without the recipient's address and without what names the patient, should a
    /// server repeat it.
    func words(without job: DeliveryJob) -> String {
        var words = text.isEmpty ? "\(code)" : text
        words = words.replacing(recipient.text, with: "recipient")
        for episode in job.episodes {
            for secret in [episode.subject.code, episode.device?.description, episode.summary].compactMap(\.self)
            where !secret.isEmpty {
                words = words.replacing(secret, with: "…")
            }
        }
        let clean = String(words.unicodeScalars.map { $0.value >= 0x20 && $0.value != 0x7F ? Character($0) : " " })
        return "SMTP \(command.isEmpty ? "greeting" : command): \(clean.prefix(200))"
    }
}

extension Subject {
    fileprivate var code: String? {
        switch self {
        case .patient(let code), .device(let code): code.description
        case .site, .instance: nil
        }
    }
}
