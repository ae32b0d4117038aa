/// A piece of a page. Text and attributes' values are escaped when it is written, and there is no way to put markup in but
/// by its elements; addresses are made of parts that are percent-encoded, and attributes that run script or carry style
/// can't be named.
indirect enum HTML: Sendable {
    case text(String)
    case element(StaticString, [Attribute], HTML)
    case all([HTML])

    static let nothing = HTML.all([])

    struct Attribute: Sendable {
        fileprivate var name: StaticString
        /// Nil: it stands by itself.
        fileprivate var value: String?

        private init(_ name: StaticString, _ value: String?) {
            self.name = name
            self.value = value
        }

        static func `class`(_ names: String) -> Attribute { Attribute("class", names) }
        static func id(_ id: String) -> Attribute { Attribute("id", id) }
        static func href(_ place: Place) -> Attribute { Attribute("href", place.text) }
        static func src(_ place: Place) -> Attribute { Attribute("src", place.text) }
        static func action(_ place: Place) -> Attribute { Attribute("action", place.text) }
        static func method(_ method: StaticString) -> Attribute { Attribute("method", "\(method)") }
        static func name(_ name: String) -> Attribute { Attribute("name", name) }
        static func value(_ value: String) -> Attribute { Attribute("value", value) }
        static func type(_ type: StaticString) -> Attribute { Attribute("type", "\(type)") }
        static func content(_ content: String) -> Attribute { Attribute("content", content) }
        static func `for`(_ id: String) -> Attribute { Attribute("for", id) }
        static func title(_ title: String) -> Attribute { Attribute("title", title) }
        static func lang(_ language: String) -> Attribute { Attribute("lang", language) }
        static func rel(_ relation: StaticString) -> Attribute { Attribute("rel", "\(relation)") }
        static func role(_ role: StaticString) -> Attribute { Attribute("role", "\(role)") }
        static func scope(_ scope: StaticString) -> Attribute { Attribute("scope", "\(scope)") }
        static func autocomplete(_ purpose: StaticString) -> Attribute { Attribute("autocomplete", "\(purpose)") }
        static func inputmode(_ mode: StaticString) -> Attribute { Attribute("inputmode", "\(mode)") }
        static func maxlength(_ count: Int) -> Attribute { Attribute("maxlength", "\(count)") }
        static func rows(_ count: Int) -> Attribute { Attribute("rows", "\(count)") }
        static func datetime(_ time: String) -> Attribute { Attribute("datetime", time) }
        static let required = Attribute("required", nil)
        static let autofocus = Attribute("autofocus", nil)
        static let `defer` = Attribute("defer", nil)
        static let open = Attribute("open", nil)
        static let hidden = Attribute("hidden", nil)
        /// What scrolls by itself must be reached by the keyboard.
        static let tabindex = Attribute("tabindex", "0")
        static func checked(_ isChecked: Bool) -> Attribute? { isChecked ? Attribute("checked", nil) : nil }
        static func selected(_ isSelected: Bool) -> Attribute? { isSelected ? Attribute("selected", nil) : nil }
        static func data(_ name: DataName, _ value: String) -> Attribute { Attribute(name.text, value) }
        static func aria(_ name: AriaName, _ value: String) -> Attribute { Attribute(name.text, value) }
        /// A presentation attribute of SVG.
        static func svg(_ name: SVGName, _ value: String) -> Attribute { Attribute(name.text, value) }
        static func svg(_ name: SVGName, _ value: Double) -> Attribute {
            Attribute(name.text, Self.short(value))
        }

        /// A hundredth of a pixel is enough.
        private static func short(_ value: Double) -> String {
            let hundredths = (value * 100).rounded()
            guard hundredths.magnitude < 1e9 else { return "0" }
            let whole = hundredths / 100
            return whole == whole.rounded() ? "\(Int(exactly: whole) ?? 0)" : "\(whole)"
        }

        enum DataName: Sendable {
            case state, patient, version, at, viewer, title, alert

            fileprivate var text: StaticString {
                switch self {
                case .state: "data-state"
                case .patient: "data-patient"
                case .version: "data-version"
                case .at: "data-at"
                case .viewer: "data-viewer"
                case .title: "data-title"
                case .alert: "data-alert"
                }
            }
        }

        enum AriaName: Sendable {
            case label, live, hidden, current, describedby, invalid

            fileprivate var text: StaticString {
                switch self {
                case .label: "aria-label"
                case .live: "aria-live"
                case .hidden: "aria-hidden"
                case .current: "aria-current"
                case .describedby: "aria-describedby"
                case .invalid: "aria-invalid"
                }
            }
        }

        enum SVGName: Sendable {
            case viewBox, width, height, x, y, x1, x2, y1, y2, cx, cy, r, d, points, textAnchor, httpEquiv

            fileprivate var text: StaticString {
                switch self {
                case .viewBox: "viewBox"
                case .width: "width"
                case .height: "height"
                case .x: "x"
                case .y: "y"
                case .x1: "x1"
                case .x2: "x2"
                case .y1: "y1"
                case .y2: "y2"
                case .cx: "cx"
                case .cy: "cy"
                case .r: "r"
                case .d: "d"
                case .points: "points"
                case .textAnchor: "text-anchor"
                case .httpEquiv: "http-equiv"
                }
            }
        }
    }

    // MARK: Writing

    /// As a document, with its type in front.
    var document: String { "<!DOCTYPE html>\n" + text }

    var text: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16_384)
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let voids: Set<String> = ["meta", "link", "input", "br", "hr"]

    private func write(to bytes: inout [UInt8]) {
        switch self {
        case .text(let text): Self.escape(text, to: &bytes)
        case .all(let parts): for part in parts { part.write(to: &bytes) }
        case .element(let name, let attributes, let content):
            let tag = "\(name)"
            bytes.append(UInt8(ascii: "<"))
            bytes.append(contentsOf: tag.utf8)
            for attribute in attributes {
                bytes.append(UInt8(ascii: " "))
                bytes.append(contentsOf: "\(attribute.name)".utf8)
                guard let value = attribute.value else { continue }
                bytes.append(contentsOf: "=\"".utf8)
                Self.escape(value, to: &bytes)
                bytes.append(UInt8(ascii: "\""))
            }
            bytes.append(UInt8(ascii: ">"))
            if Self.voids.contains(tag) { return }
            content.write(to: &bytes)
            bytes.append(contentsOf: "</\(tag)>".utf8)
        }
    }

    /// Characters that mean something to HTML become references; controls, which it does not allow, U+FFFD.
    private static func escape(_ text: String, to bytes: inout [UInt8]) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): bytes.append(contentsOf: "&amp;".utf8)
            case UInt8(ascii: "<"): bytes.append(contentsOf: "&lt;".utf8)
            case UInt8(ascii: ">"): bytes.append(contentsOf: "&gt;".utf8)
            case UInt8(ascii: "\""): bytes.append(contentsOf: "&quot;".utf8)
            case UInt8(ascii: "'"): bytes.append(contentsOf: "&#39;".utf8)
            case UInt8(ascii: "`"): bytes.append(contentsOf: "&#96;".utf8)
            case 0x09, 0x0a: bytes.append(byte)
            case ..<0x20, 0x7f: bytes.append(contentsOf: "\u{FFFD}".utf8)
            default: bytes.append(byte)
            }
        }
    }
}

/// A place of this site: its path's parts and its query are percent-encoded, so that it can be no other.
struct Place: Sendable {
    let text: String

    init(_ parts: String..., query: [(String, String)] = [], fragment: String? = nil) {
        var text = parts.isEmpty ? "/" : parts.map { "/" + Self.encoded($0) }.joined()
        if !query.isEmpty {
            text += "?" + query.map { "\(Self.encoded($0.0))=\(Self.encoded($0.1))" }.joined(separator: "&")
        }
        if let fragment { text += "#" + Self.encoded(fragment) }
        self.text = text
    }

    /// What a telephone dials; nil for what is none.
    init?(telephone: String) {
        let digits = telephone.unicodeScalars.filter { ("0"..."9").contains($0) }
        guard digits.count >= 3 else { return nil }
        text = "tel:" + (telephone.hasPrefix("+") ? "+" : "") + String(String.UnicodeScalarView(digits))
    }

    /// A place on the same page.
    init(fragmentOnly fragment: String) { text = "#" + Self.encoded(fragment) }

    static func encoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                bytes.append(byte)
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                bytes.append(contentsOf: "%\(digits.utf8.count < 2 ? "0" : "")\(digits)".utf8)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

@resultBuilder enum HTMLBuilder {
    static func buildExpression(_ part: HTML) -> HTML { part }
    static func buildExpression(_ text: String) -> HTML { .text(text) }
    static func buildExpression(_ part: HTML?) -> HTML { part ?? .nothing }
    static func buildBlock(_ parts: HTML...) -> HTML { .all(parts) }
    static func buildOptional(_ part: HTML?) -> HTML { part ?? .nothing }
    static func buildEither(first part: HTML) -> HTML { part }
    static func buildEither(second part: HTML) -> HTML { part }
    static func buildArray(_ parts: [HTML]) -> HTML { .all(parts) }
}

/// `element("p", .class("note")) { "text" }`.
func element(
    _ name: StaticString, _ attributes: HTML.Attribute?..., @HTMLBuilder content: () -> HTML = { .nothing }
) -> HTML {
    .element(name, attributes.compactMap { $0 }, content())
}
