import Clinical
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

extension PageResponder {
    func html(_ page: HTML, status: HTTPResponse.Status = .ok, isDocument: Bool = true) -> Response {
        answer(status, isDocument ? page.document : page.text, "text/html; charset=utf-8")
    }

    func text(_ status: HTTPResponse.Status, _ words: String) -> Response {
        answer(status, words + "\n", "text/plain; charset=utf-8")
    }

    func redirect(_ place: Place) -> Response {
        var answer = text(.seeOther, "see \(place.text)")
        answer.headers[.location] = place.text
        return answer
    }

    private static let scripts: [String: [UInt8]] = [
        "app.js": PackageResources.app_js, "elsewhere.js": PackageResources.elsewhere_js,
        "feed.js": PackageResources.feed_js, "focus.js": PackageResources.focus_js,
        "keys.js": PackageResources.keys_js, "reds.js": PackageResources.reds_js,
        "sound.js": PackageResources.sound_js, "stream.js": PackageResources.stream_js,
        "typing.js": PackageResources.typing_js, "worklist.js": PackageResources.worklist_js,
    ]

    func asset(_ name: String) -> Response {
        let found: (bytes: [UInt8], type: String)? =
            switch name {
            case "style.css": (PackageResources.style_css, "text/css; charset=utf-8")
            default: Self.scripts[name].map { ($0, "text/javascript; charset=utf-8") }
            }
        guard let found else { return text(.notFound, "no such asset") }
        var response = answer(.ok, String(decoding: found.bytes, as: UTF8.self), found.type)
        response.headers[.cacheControl] = "max-age=300"
        return response
    }

    private func answer(_ status: HTTPResponse.Status, _ body: String, _ type: String) -> Response {
        Response(status: status, headers: headers(type), body: ResponseBody(byteBuffer: ByteBuffer(string: body)))
    }

    /// Nothing but our own files, no script and no style inside a page, nothing framed, nothing kept.
    func headers(_ type: String) -> HTTPFields {
        var headers = HTTPFields()
        headers[.contentType] = type
        headers[.cacheControl] = "no-store"
        headers[.contentSecurityPolicy] =
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
            + "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        headers[.xContentTypeOptions] = "nosniff"
        // A form tells where it comes from; no other site is told anything.
        headers[HTTPField.Name(validated: "Referrer-Policy")] = "same-origin"
        headers[HTTPField.Name(validated: "Cross-Origin-Resource-Policy")] = "same-origin"
        headers[HTTPField.Name(validated: "Cross-Origin-Opener-Policy")] = "same-origin"
        headers[HTTPField.Name(validated: "X-Frame-Options")] = "DENY"
        headers[HTTPField.Name(validated: "Permissions-Policy")] = "camera=(), geolocation=(), microphone=()"
        if cookie.isSecure { headers[.strictTransportSecurity] = "max-age=31536000" }
        return headers
    }

    func wallClock() -> Instant {
        Instant(microseconds: Int64(exactly: (Date.now.timeIntervalSince1970 * 1_000_000).rounded()) ?? 0)
    }
}
