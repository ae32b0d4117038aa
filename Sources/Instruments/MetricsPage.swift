/// Whoever has metrics to show.
public protocol MetricsSource: Sendable {
    /// The present numbers, in an order that never changes. Called from the thread of the scrape; must not wait.
    func families() -> [MetricFamily]
}

/// The page that Prometheus scrapes, in the text exposition format 0.0.4.
public struct MetricsPage: Sendable {
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private let sources: [any MetricsSource]

    /// The families of `sources` in their order. No two may have a family of the same name.
    public init(_ sources: [any MetricsSource]) { self.sources = sources }

    public func render() -> String {
        var page = ""
        for family in sources.flatMap({ $0.families() }) {
            page += "# HELP \(family.name) \(Self.escaped(family.help, quotes: false))\n"
            page += "# TYPE \(family.name) \(family.kind.rawValue)\n"
            for sample in family.samples {
                page += family.name + sample.suffix
                if !sample.labels.isEmpty {
                    let labels = sample.labels.map { "\($0.name)=\"\(Self.escaped($0.value, quotes: true))\"" }
                    page += "{\(labels.joined(separator: ","))}"
                }
                page += " \(Self.number(sample.value))\n"
            }
        }
        return page
    }

    /// Whole numbers without a fraction, the rest in the fewest digits that read back as the same double.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value.magnitude < 0x1p53, let whole = Int(exactly: value) { return String(whole) }
        return value.description
    }

    /// Backslash and line feed are escaped everywhere, the double quote in label values only.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
