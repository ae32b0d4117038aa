import CCurl

/// The address of a webhook: an absolute `http` or `https` URL in printable ASCII.
///
/// Whatever could break out of the request line is refused here: control characters, spaces, anything not ASCII. It may
/// hold credentials, so it has no description and must not be logged.
struct WebAddress: Hashable, Sendable {
    let text: String
    /// Host and port, lower case: what the limit of requests at once counts by.
    let host: String

    init?(_ text: String) {
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
        guard let url = unsafe curl_url() else { return nil }
        defer { unsafe curl_url_cleanup(url) }
        guard unsafe curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK,
            let scheme = unsafe Self.part(CURLUPART_SCHEME, of: url), scheme == "http" || scheme == "https",
            let host = unsafe Self.part(CURLUPART_HOST, of: url), !host.isEmpty,
            let port = unsafe Self.part(CURLUPART_PORT, of: url)
        else { return nil }
        self.text = text
        self.host = "\(host.lowercased()):\(port)"
    }

    private static func part(_ part: CURLUPart, of url: OpaquePointer) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard unsafe curl_url_get(url, part, &text, UInt32(CURLU_DEFAULT_PORT)) == CURLUE_OK, let text = unsafe text
        else { return nil }
        defer { unsafe curl_free(text) }
        return unsafe String(cString: text)
    }
}
