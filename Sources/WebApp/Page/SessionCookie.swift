import Alerting
import Cryptography
import HTTPTypes

/// The cookie that holds a session's token, and the proof that a form came from a page of the same session.
struct SessionCookie: Sendable {
    /// Under TLS, ours or that of a proxy before us.
    let isSecure: Bool

    /// `__Host-` ties it to this host and to TLS; without TLS a browser would refuse that name.
    private var name: String { isSecure ? "__Host-homeward" : "homeward" }

    /// Nil without one, or when it is none of ours.
    func session(in headers: HTTPFields) -> SessionToken? {
        for header in headers[values: .cookie] {
            for pair in header.split(separator: ";") {
                let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
                guard parts.count == 2, parts[0] == name else { continue }
                return Self.bytes(of: parts[1]).flatMap { SessionToken(bytes: $0) }
            }
        }
        return nil
    }

    func setting(_ session: SessionToken) -> String {
        "\(name)=\(hexadecimal(session.bytes)); Path=/; HttpOnly; SameSite=Strict\(isSecure ? "; Secure" : "")"
    }

    var clearing: String {
        "\(name)=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict\(isSecure ? "; Secure" : "")"
    }

    /// What each form of a session carries: not the session, and of no use for another.
    static func formToken(of session: SessionToken) -> String {
        hexadecimal(hmacSHA256(key: session.bytes, message: Array("homeward form".utf8)))
    }

    static func isFormToken(_ token: String?, of session: SessionToken) -> Bool {
        equalInConstantTime(Array((token ?? "").utf8), Array(formToken(of: session).utf8))
    }

    private static func bytes(of text: Substring) -> [UInt8]? {
        let digits = text.utf8.map { WebForm.digit($0) }
        guard digits.count == 64, !digits.contains(nil) else { return nil }
        return stride(from: 0, to: 64, by: 2).map { (digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0) }
    }
}
