import Alerting
import Clinical
import Registry

/// What every page for people has around its content.
enum PageFrame {
    /// - Parameters:
    ///   - refresh: without script the browser loads it again each minute.
    ///   - isRetried: the browser loads it again soon.
    static func page(
        _ title: String, viewer: Viewer?, form: String?, refresh: Place? = nil, isRetried: Bool = false,
        @HTMLBuilder content: () -> HTML
    ) -> HTML {
        element("html", .lang("en")) {
            element("head") {
                element("meta", .svg(.httpEquiv, "content-type"), .content("text/html; charset=utf-8"))
                element("meta", .name("viewport"), .content("width=device-width, initial-scale=1"))
                element("title") { "\(title) – Homeward" }
                element("link", .rel("stylesheet"), .href(Place("assets", "style.css")))
                element("script", .type("module"), .src(Place("assets", "app.js")))
                if isRetried { element("meta", .svg(.httpEquiv, "refresh"), .content("15")) }
                if let refresh {
                    element("noscript") {
                        element("meta", .svg(.httpEquiv, "refresh"), .content("60;url=\(refresh.text)"))
                    }
                }
            }
            element("body") {
                element("a", .class("skip"), .href(Place(fragmentOnly: "content"))) { "Skip to the content" }
                if let viewer, let form { header(viewer, form) }
                if let viewer, !viewer.hasApprovedLimits {
                    element("p", .class("unapproved"), .role("status")) { "Limits not approved here" }
                }
                element("main", .id("content")) { content() }
                element("footer") { "Homeward is not an emergency service." }
            }
        }
    }

    private static func header(_ viewer: Viewer, _ form: String) -> HTML {
        element("header") {
            element("nav", .aria(.label, "Pages")) {
                element("a", .href(Place()), .class("brand")) { "Homeward" }
                element("a", .href(Place())) { "Worklist" }
                if viewer.leads {
                    element("a", .href(Place("service"))) { "Service" }
                    element("a", .href(Place("packs"))) { "Packs" }
                }
                element("a", .href(Place("minor"))) { "Technical" }
                if viewer.maySearchAudit { element("a", .href(Place("audit"))) { "Who looked" } }
            }
            element("span", .class("who")) {
                element("bdi") { viewer.careManager.description }
                " (\(viewer.role.rawValue), \(viewer.site))"
            }
            element("form", .method("post"), .action(Place("sign-out")), .class("inline")) {
                formToken(form)
                element("button", .type("submit"), .class("quiet")) { "Sign out" }
                element("button", .type("submit"), .class("quiet"), .name("everywhere"), .value("yes")) {
                    "…everywhere"
                }
            }
        }
    }

    static func formToken(_ token: String) -> HTML {
        element("input", .type("hidden"), .name("form"), .value(token))
    }

    static func signIn(failed: Bool, next: String?) -> HTML {
        page("Sign in", viewer: nil, form: nil) {
            element("section", .class("card narrow")) {
                element("h1") { "Homeward" }
                if failed {
                    element("p", .class("notice bad"), .role("alert")) {
                        "Not signed in. Check all three, with a fresh code. After several failures an account waits, up to "
                        "a quarter of an hour; from where you have signed in before, only your own failures count."
                    }
                }
                element("form", .method("post"), .action(Place("sign-in"))) {
                    if let next { element("input", .type("hidden"), .name("next"), .value(next)) }
                    field("Your code", "code", "text", .autocomplete("username"), autofocus: true)
                    field("Password", "password", "password", .autocomplete("current-password"))
                    field(
                        "Six digits of your authenticator app", "digits", "text", .autocomplete("one-time-code"),
                        .inputmode("numeric"))
                    element("button", .type("submit"), .class("primary")) { "Sign in" }
                }
            }
        }
    }

    private static func field(
        _ label: String, _ name: String, _ type: StaticString, _ purpose: HTML.Attribute,
        _ mode: HTML.Attribute? = nil, autofocus: Bool = false
    ) -> HTML {
        .all([
            element("label", .for(name)) { label },
            element(
                "input", .type(type), .id(name), .name(name), .maxlength(200), .required, purpose, mode,
                autofocus ? .autofocus : nil),
        ])
    }

    /// A page of one sentence.
    static func message(
        _ title: String, _ words: String, viewer: Viewer? = nil, form: String? = nil, isRetried: Bool = false
    ) -> HTML {
        page(title, viewer: viewer, form: form, isRetried: isRetried) {
            element("section", .class("card narrow")) {
                element("h1") { title }
                element("p") { words }
                element("p") { element("a", .href(Place())) { "To the worklist" } }
            }
        }
    }
}
