import Alerting
import Clinical
import Foundation

/// What stands for a state everywhere: a shape, a word and a colour, so that none of them is the only sign.
enum Signs {
    static func state(_ state: TriageState) -> HTML {
        sign(state.rawValue, word: word(state))
    }

    static func severity(_ severity: Severity) -> HTML { sign(severity.rawValue, word: severity.rawValue.capitalized) }

    static func word(_ state: TriageState) -> String { state.rawValue.capitalized }

    private static func sign(_ name: String, word: String) -> HTML {
        element("span", .class("sign sign-\(name)")) {
            element("svg", .svg(.viewBox, "0 0 20 20"), .aria(.hidden, "true"), .class("shape")) { shape(name) }
            element("span") { word }
        }
    }

    /// Red a triangle, amber a diamond, grey an open ring, paused two bars, green a disc, info a square.
    @HTMLBuilder private static func shape(_ name: String) -> HTML {
        switch name {
        case "red": element("path", .svg(.d, "M10 1 L19.5 18 H0.5 Z"))
        case "amber": element("path", .svg(.d, "M10 1 L19 10 L10 19 L1 10 Z"))
        case "grey":
            element("circle", .svg(.cx, 10), .svg(.cy, 10), .svg(.r, 7.5), .class("ring"))
        case "paused": element("path", .svg(.d, "M4 3 H8 V17 H4 Z M12 3 H16 V17 H12 Z"))
        case "green": element("circle", .svg(.cx, 10), .svg(.cy, 10), .svg(.r, 8))
        default: element("path", .svg(.d, "M3 3 H17 V17 H3 Z"))
        }
    }

    /// `spo2-low` as "SpO2 low", `late-red` as "Late red".
    static func rule(_ rule: String) -> String {
        for side in ["low", "high"] where rule.hasSuffix("-\(side)") {
            if let kind = Kind(code: String(rule.dropLast(side.count + 1))) { return "\(kind.name) \(side)" }
        }
        let words = rule.replacing("-", with: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    private static func digits(_ kind: Kind) -> Int {
        kind == .fev1 ? 2 : [.temperature, .weight, .glucose, .ketones, .inr].contains(kind) ? 1 : 0
    }

    /// The least difference that `number` shows.
    static func step(_ kind: Kind) -> Double { [1, 0.1, 0.01][digits(kind)] }

    static func number(_ value: Double, _ kind: Kind) -> String {
        let digits = digits(kind)
        // What was converted has more digits than its meter.
        return value.formatted(
            .number.precision(.fractionLength(0...max(digits, 0))).grouping(.never).locale(Locale(identifier: "en_GB")))
    }

    /// As a meter sent it: 142 and not 142.0.
    static func sent(_ value: Double) -> String {
        Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }

    /// - Parameter holder: who has it.
    static func reason(_ reason: TriageReason, holder: String? = nil) -> String {
        guard case .alert(let code, let severity, let state) = reason else {
            let words = reason.description
            return words.prefix(1).uppercased() + words.dropFirst()
        }
        let words = "\(rule(code)), \(severity.rawValue), \(state == .open ? "unanswered" : state.rawValue)"
        return holder.map { "\(words) by \($0)" } ?? words
    }
}
