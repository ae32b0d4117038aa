import HTTPTypes
import Hummingbird
import HummingbirdCore

extension PageResponder {
    /// The session had ended before the form came: what was written is shown, so that it can be copied.
    func nothingSaved(_ form: WebForm, _ parts: [String]) -> Response {
        if parts == ["sign-out"] { return redirect(Place("sign-in")) }
        let own: Set = ["form", "once", "seen", "do", "what", "back", "everywhere", "device", "report", "reading"]
        let typed = form.names.filter { !own.contains($0) }.sorted().compactMap { form[$0] }
        var next: String?
        if parts.count >= 2, ["patients", "alerts"].contains(parts[0]) {
            next = Self.ownPlace(Place(parts[0], parts[1]).text)
        }
        var answer = html(PageFrame.nothingSaved(typed, next: next), status: .unauthorized)
        answer.headers[.wwwAuthenticate] = "Cookie realm=\"homeward\""
        return answer
    }
}

extension PageFrame {
    /// For whoever sent a form after their session had ended: with what they wrote.
    static func nothingSaved(_ typed: [String], next: String?) -> HTML {
        page("Signed out", viewer: nil, form: nil) {
            element("section", .class("card narrow")) {
                element("h1") { "Signed out" }
                element("p", .class("notice bad"), .role("alert")) {
                    "Nothing was saved: your session had ended."
                }
                if !typed.isEmpty {
                    element("p") { "This is what you wrote. Copy it, sign in, and do it again." }
                    for text in typed { element("p", .class("raw"), .tabindex) { text } }
                }
                element("p") {
                    element("a", .href(Place("sign-in", query: next.map { [("next", $0)] } ?? []))) { "Sign in" }
                }
            }
        }
    }
}
