public import Alerting
public import Clinical
import Cryptography
import Formats

/// A message that is no alert, in plain words.
public struct Notice: Hashable, Sendable {
    /// The same on every attempt: a Message-ID's first half, the idempotency key of a webhook.
    public var key: String
    public var site: Identifier
    /// What sort of message it is, for programs: `daily`.
    public var sort: String
    public var subject: String
    /// One line.
    public var text: String

    public init(key: String, site: Identifier, sort: String, subject: String, text: String) {
        self.key = key
        self.site = site
        self.sort = sort
        self.subject = subject
        self.text = text
    }
}

/// Messages that go past the outbox, one at a time: what a command sends, and what is no alert. Each call blocks until the
/// message is delivered or refused, twice the deadline at most; any thread.
extension DeliveryChannels {
    /// Nil when it was delivered; else why not, without patient data.
    public func send(_ job: DeliveryJob, at now: Instant) -> String? {
        do throws(DeliveryRefusal) {
            var generator = SystemRandomNumberGenerator()
            let result: DeliveryResult
            switch try message(for: job, at: now) {
            case .http(let request): result = .http(DirectRequest.run(request, deadline: deadline))
            case .mail(let request): result = .mail(DirectRequest.run(request, deadline: deadline))
            case .publication: return DeliveryRefusal.otherChannel.rawValue
            }
            switch outcome(of: result, for: job, at: now, using: &generator) {
            case .sent: return nil
            case .retry(_, let error), .failed(let error): return error
            }
        } catch {
            return error.rawValue
        }
    }

    /// Nil when it was delivered; else why not.
    public func send(_ notice: Notice, by channel: Channel, to address: String, at now: Instant) -> String? {
        do throws(DeliveryRefusal) {
            switch channel {
            case .email:
                switch DirectRequest.run(try mail(notice, address, now), deadline: deadline) {
                case .taken: return nil
                case .refused(let reply): return "SMTP \(reply.command): \(reply.code)"
                case .unanswered(let reason): return reason
                }
            case .webhook: return Self.words(DirectRequest.run(try post(notice, address, now), deadline: deadline))
            case .sms: return Self.words(DirectRequest.run(try text(notice, address), deadline: deadline))
            case .mqtt: throw .otherChannel
            }
        } catch {
            return error.rawValue
        }
    }

    private static func words(_ result: HTTPResult) -> String? {
        switch result {
        case .answered(200...299, _): nil
        case .answered(let status, _): "HTTP status \(status)"
        case .unanswered(let reason): reason
        }
    }

    private func mail(_ notice: Notice, _ address: String, _ now: Instant) throws(DeliveryRefusal) -> MailRequest {
        guard let email else { throw .otherChannel }
        guard let recipient = MailAddress(address) else { throw .badMail }
        guard let key = MailMessage.Key(notice.key) else { throw .badKey }
        let message = MailMessage(
            sender: email.sender, recipient: recipient, key: key, subject: notice.subject, body: notice.text,
            date: now, isUrgent: false)
        return MailRequest(
            server: email.server, sender: email.sender, recipient: recipient, bytes: message.bytes)
    }

    /// `{"delivery":…,"message":"daily","site":…,"text":…}`, signed as an alert is.
    private func post(_ notice: Notice, _ address: String, _ now: Instant) throws(DeliveryRefusal) -> HTTPRequest {
        guard let address = WebAddress(address) else { throw .badWebhook }
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("delivery")
        writer.value(notice.key)
        writer.name("message")
        writer.value(notice.sort)
        writer.name("site")
        writer.value(notice.site)
        writer.name("text")
        writer.value(notice.text)
        writer.endObject()
        return try webhook.signed(writer.bytes, key: notice.key, to: address, at: now)
    }

    private func text(_ notice: Notice, _ address: String) throws(DeliveryRefusal) -> HTTPRequest {
        guard let sms else { throw .otherChannel }
        guard let number = SMSChannel.number(address) else { throw .badNumber }
        return try sms.request(to: number, text: notice.text, key: notice.key)
    }
}

/// The address of a service that alarms when it is not called for long.
public enum Heartbeat {
    /// What stands in the address where the audit chain's head is to come.
    public static let auditHeadPlace = "{audit_head}"

    /// One GET. Nil when it was answered with 2xx; else why not. Blocks up to the deadline.
    ///
    /// - Parameter auditHead: goes out in the header `Homeward-Audit-Head`, and in the address in place of
    ///   `{audit_head}`; empty where nothing has been sealed.
    public static func call(_ url: String, auditHead: String, deadline: Interval) -> String? {
        guard let address = WebAddress(url.replacing(auditHeadPlace, with: auditHead)) else {
            return "it is no http or https address"
        }
        let request = HTTPRequest(
            address: address, isGet: true, headers: [.init(name: "Homeward-Audit-Head", value: auditHead)], body: [],
            caFile: nil)
        switch DirectRequest.run(request, deadline: deadline) {
        case .answered(200...299, _): return nil
        case .answered(let status, _): return "HTTP status \(status)"
        case .unanswered(let reason): return reason
        }
    }
}

enum DirectRequest {
    static func run(_ request: HTTPRequest, deadline: Interval) -> HTTPResult {
        do throws(TransfersUnavailable) {
            let transfers = try Transfers<Void>(.init(deadline: deadline), connectionsKept: 1)
            try transfers.begin(request, tag: ())
            while transfers.count > 0 {
                if let ended = transfers.step().first { return ended.result }
                transfers.wait(milliseconds: 1000)
            }
            return .unanswered("no answer")
        } catch {
            return .unanswered("no memory for a request")
        }
    }

    static func run(_ request: MailRequest, deadline: Interval) -> MailResult {
        var result = MailResult.unanswered("no answer")
        MailSession.run(request, deadline: deadline) { result = $0 }
        return result
    }
}
