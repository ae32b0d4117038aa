import CCurl
import Clinical

/// One e-mail over a connection of its own. Blocks; any thread.
///
/// Not through the multi handle of the HTTP requests: libcurl waits inside `curl_multi_perform` for the answer to the
/// end of an e-mail and for that to QUIT, and a mail server that is slow would hold up every webhook.
@safe struct MailSession: ~Copyable {
    private let easy: UnsafeMutableRawPointer
    private let reply = UnsafeMutablePointer<ccurl_reply>.allocate(capacity: 1)
    private let message = UnsafeMutablePointer<ccurl_message>.allocate(capacity: 1)
    private let content: UnsafeMutableBufferPointer<CChar>
    private let recipient: MailAddress
    private var recipients: UnsafeMutablePointer<curl_slist>?

    /// Nil when libcurl has no memory.
    private init?(_ request: MailRequest) {
        guard curlIsReady, let easy = unsafe curl_easy_init() else { return nil }
        unsafe self.easy = easy
        recipient = request.recipient
        unsafe content = .allocate(capacity: max(1, request.bytes.count))
        _ = unsafe content.initialize(from: request.bytes.lazy.map { CChar(bitPattern: $0) })
        unsafe reply.initialize(to: ccurl_reply())
        unsafe message.initialize(
            to: ccurl_message(bytes: UnsafePointer(content.baseAddress), count: request.bytes.count, offset: 0))
        unsafe recipients = nil
    }

    deinit {
        unsafe curl_easy_cleanup(easy)
        unsafe curl_slist_free_all(recipients)
        unsafe reply.deallocate()
        unsafe message.deallocate()
        unsafe content.deallocate()
    }

    /// Tells `end` what came of it within twice the deadline: a server that refuses and then answers no QUIT takes the
    /// second. The connection is closed after that.
    static func run(_ request: MailRequest, deadline: Interval, _ end: (MailResult) -> Void) {
        guard var session = MailSession(request), session.prepare(request, deadline) else {
            return end(.unanswered("no memory for a message"))
        }
        end(session.perform())
        unsafe ccurl_stop_reading(session.easy)
    }

    private mutating func prepare(_ request: MailRequest, _ deadline: Interval) -> Bool {
        guard let list = unsafe curl_slist_append(nil, request.recipient.text) else { return false }
        unsafe recipients = unsafe list
        let server = request.server
        let easy = unsafe easy
        let milliseconds = Int(max(1, deadline.microseconds / 1000))
        let numbers: [(CURLoption, Int)] = [
            (CURLOPT_NOSIGNAL, 1),
            (CURLOPT_TIMEOUT_MS, milliseconds),
            (CURLOPT_CONNECTTIMEOUT_MS, milliseconds),
            (CURLOPT_QUICK_EXIT, 1),
            // After a refusal libcurl says QUIT, and waits for the answer outside the deadline.
            (CURLOPT_SERVER_RESPONSE_TIMEOUT, max(1, (milliseconds + 999) / 1000)),
            // Without STARTTLS there is no message.
            (CURLOPT_USE_SSL, server.security == .none ? Int(CURLUSESSL_NONE.rawValue) : Int(CURLUSESSL_ALL.rawValue)),
            (CURLOPT_SSL_VERIFYPEER, 1),
            (CURLOPT_SSL_VERIFYHOST, 2),
            (CURLOPT_TCP_KEEPALIVE, 1),
        ]
        var strings: [(CURLoption, String)] = [
            (CURLOPT_URL, server.url),
            (CURLOPT_PROTOCOLS_STR, "smtp,smtps"),
            // An empty proxy also overrides the environment's.
            (CURLOPT_PROXY, ""),
            (CURLOPT_MAIL_FROM, "<\(request.sender.text)>"),
        ]
        if let username = server.username { strings.append((CURLOPT_USERNAME, username)) }
        if let password = server.password { strings.append((CURLOPT_PASSWORD, password)) }
        if let file = server.caFile { strings.append((CURLOPT_CAINFO, file)) }
        return unsafe numbers.allSatisfy { unsafe ccurl_set_long(easy, $0.0, $0.1) == CURLE_OK }
            && strings.allSatisfy { unsafe ccurl_set_string(easy, $0.0, $0.1) == CURLE_OK }
            && ccurl_set_list(easy, CURLOPT_MAIL_RCPT, recipients) == CURLE_OK
            && ccurl_send_message(easy, message) == CURLE_OK
            && ccurl_keep_reply(easy, reply) == CURLE_OK
            && ccurl_refuse_link_local(easy) == CURLE_OK
    }

    private func perform() -> MailResult {
        let code = unsafe curl_easy_perform(easy)
        if code == CURLE_OK { return .taken }
        let text = unsafe Self.text(of: reply.pointee.text)
        let command = unsafe Self.text(of: reply.pointee.command)
        // The server's own words, where they are what ended it: nothing was sent since.
        if let status = Int(text.prefix(3)), (400...599).contains(status) {
            return .refused(MailReply(code: status, command: command, text: text, recipient: recipient))
        }
        return .unanswered(unsafe String(cString: curl_easy_strerror(code)))
    }

    /// The text in a C array, up to its end.
    private static func text<Bytes>(of bytes: Bytes) -> String {
        unsafe withUnsafeBytes(of: bytes) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
