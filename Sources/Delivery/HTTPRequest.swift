/// One request, ready to go.
struct HTTPRequest: Hashable, Sendable {
    var address: WebAddress
    /// A GET has no body; anything else here is a POST.
    var isGet = false
    var headers: [Header]
    var body: [UInt8]
    /// PEM file of the authorities to trust instead of the system's.
    var caFile: String?

    struct Header: Hashable, Sendable {
        var name: String
        var value: String
    }
}

/// What came of one request.
enum HTTPResult: Hashable, Sendable {
    /// The status line and all headers came, whatever happened to the body. `retryAfter` is in seconds.
    case answered(status: Int, retryAfter: Int64?)
    /// No answer, or only a part of one. The text is libcurl's own and holds nothing of the request.
    case unanswered(String)
}
