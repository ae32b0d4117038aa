import HTTPTypes
import Hummingbird
import HummingbirdCore
import Instruments
import NIOCore

/// A request's context: the channel, so that a client that sends more than we read can be hung up on.
struct WebContext: RequestContext, InitializableFromSource {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

/// Answers `/healthz`, `/readyz` and `/metrics`; everything else is for care managers: the pages' where there are any, else
/// 401.
///
/// No page of its own takes a body. A request that brings one is answered and its connection closed, so that a body that
/// never ends holds nothing.
struct StatusResponder: HTTPResponder {
    typealias Context = WebContext

    /// Which of the two listeners this is.
    enum Pages: Sendable {
        case everything
        /// Set apart for machines: nobody can sign in here, so what is not found is 404.
        case status
        /// Set apart for people: `/healthz`, `/readyz` and `/metrics` are on the other listener.
        case people
    }

    let pages: Pages
    let metrics: MetricsPage
    let readiness: @Sendable () -> Readiness
    let people: PageResponder?

    /// A body that says to be longer is refused unread.
    static let bodyLimit = 64 * 1024

    func respond(to request: Request, context: WebContext) async throws -> Response {
        let length = request.headers[.contentLength].flatMap { Int($0) } ?? 0
        let hasBody = length > 0 || request.headers[.transferEncoding] != nil
        let isForPeople = pages != .status && !isStatus(request.uri.path)
        if let people, isForPeople, length <= PageResponder.formLimit, !hasBody || request.method == .post {
            return try await people.respond(to: request, context: context)
        }
        let answer = length > Self.bodyLimit ? Answer(.contentTooLarge, "too large") : answer(to: request)
        return response(answer, isHead: request.method == .head, hangsUp: hasBody ? context.channel : nil)
    }

    private struct Answer {
        var status: HTTPResponse.Status
        var text: String
        var contentType = "text/plain; charset=utf-8"
        var headers = HTTPFields()

        init(_ status: HTTPResponse.Status, _ text: String) {
            self.status = status
            self.text = text + "\n"
        }
    }

    private func isStatus(_ path: String) -> Bool {
        pages != .people && ["/healthz", "/readyz", "/metrics"].contains(path)
    }

    private func answer(to request: Request) -> Answer {
        let path = request.uri.path
        guard isStatus(path) else {
            if pages == .status { return Answer(.notFound, "not found") }
            var answer = Answer(.unauthorized, "sign in first")
            answer.headers[.wwwAuthenticate] = "Cookie realm=\"homeward\""
            return answer
        }
        guard request.method == .get || request.method == .head else {
            var answer = Answer(.methodNotAllowed, "GET or HEAD only")
            answer.headers[.allow] = "GET, HEAD"
            return answer
        }
        switch path {
        case "/healthz": return Answer(.ok, "alive")
        case "/readyz":
            let readiness = readiness()
            var answer = Answer(readiness.isReady ? .ok : .serviceUnavailable, readiness.json)
            answer.contentType = "application/json"
            return answer
        default:
            var answer = Answer(.ok, "")
            answer.text = metrics.render()
            answer.contentType = MetricsPage.contentType
            return answer
        }
    }

    private func response(_ answer: Answer, isHead: Bool, hangsUp channel: (any Channel)?) -> Response {
        var headers = answer.headers
        headers[.contentType] = answer.contentType
        headers[.cacheControl] = "no-store"
        headers[.contentSecurityPolicy] = "default-src 'none'; frame-ancestors 'none'"
        headers[.xContentTypeOptions] = "nosniff"
        headers[Self.referrerPolicy] = "no-referrer"
        headers[Self.resourcePolicy] = "same-origin"
        if channel != nil { headers[.connection] = "close" }
        let buffer = ByteBuffer(string: answer.text)
        let body = ResponseBody(contentLength: buffer.readableBytes) { writer in
            if !isHead { try await writer.write(buffer) }
            try await writer.finish(nil)
            channel?.close(promise: nil)
        }
        return Response(status: answer.status, headers: headers, body: body)
    }

    private static let referrerPolicy = HTTPField.Name(validated: "Referrer-Policy")
    private static let resourcePolicy = HTTPField.Name(validated: "Cross-Origin-Resource-Policy")
}

extension HTTPField.Name {
    /// For names written here; a name that HTTP does not allow is a mistake of the program.
    init(validated name: String) {
        guard let field = HTTPField.Name(name) else { preconditionFailure("not a header name") }
        self = field
    }
}
