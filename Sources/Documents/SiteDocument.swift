import Clinical
import Registry

/// An entry of `sites`.
enum SiteDocument {
    /// What a site may choose as its amber limit for low glucose, mmol/L: above the packs' red of 3.0 (ADA level 2), and
    /// near ADA's 3.9 and UK teaching's 4.0. The upper end is a proposal, there to catch mg/dL.
    static let glucoseLow = 3.1...5.0

    static func value(code: Identifier) -> DocumentValue<Site> {
        .record { reader in
            let name = reader.required("name", .text)
            let zone = reader.optional("timezone", .timeZone) ?? "Europe/London"
            let hours = reader.optional("hours", .openingHours) ?? []
            let fallback = reader.optional("fallback", .record { $0.required("email", .email.withheld) })
            let glucoseLow = reader.optional("glucose_low", .number(in: Self.glucoseLow))
            guard let name else { return nil }
            return Site(
                code: code, name: name, timeZone: zone, hours: hours, fallbackEmail: fallback, glucoseLow: glucoseLow)
        }
    }
}

extension DocumentValue where Value == [OpeningHours] {
    /// `{ mon-fri: "08:00-18:00", sat: "09:00-12:00" }`.
    static var openingHours: DocumentValue {
        DocumentValue { node, context in
            let span = DocumentValue<(opens: Int, closes: Int)>(expected: "opening hours as \"08:00-18:00\"") {
                if case .string(let text, _) = $0 { OpeningHours.span(of: text) } else { nil }
            }
            guard let entries = DocumentValue<(opens: Int, closes: Int)>.names(of: span).read(node, context) else {
                return nil
            }
            var hours: [OpeningHours] = []
            for entry in entries {
                guard let days = Weekday.days(of: entry.name) else {
                    context.report(
                        "\"\(DocumentNode.excerpt(of: entry.name))\" is no day or span of days such as mon or mon-fri",
                        at: entry.node)
                    continue
                }
                let isTwice = hours.contains {
                    !$0.days.isDisjoint(with: days) && $0.opens < entry.value.closes && entry.value.opens < $0.closes
                }
                if isTwice { context.report("\(entry.name) overlaps the hours above", at: entry.node) }
                hours.append(OpeningHours(days: days, opens: entry.value.opens, closes: entry.value.closes))
            }
            return hours
        }
    }
}

extension OpeningHours {
    /// `08:00-18:00` in minutes after midnight; `24:00` may close. Nil unless it opens before it closes.
    static func span(of text: String) -> (opens: Int, closes: Int)? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let opens = ClockTime.minutes(of: parts[0]) else { return nil }
        guard let closes = parts[1] == "24:00" ? 1440 : ClockTime.minutes(of: parts[1]) else { return nil }
        return opens < closes ? (opens, closes) : nil
    }
}

extension Weekday {
    /// `mon`, or a span such as `mon-fri`; a span may run over Sunday (`sat-mon`).
    static func days(of text: String) -> Set<Weekday>? {
        let all = Weekday.allCases
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        let places = parts.compactMap { part in all.firstIndex { $0.rawValue == part } }
        guard places.count == parts.count, let first = places.first, let last = places.last, places.count <= 2 else {
            return nil
        }
        let count = (last - first + all.count) % all.count
        return Set((0...count).map { all[(first + $0) % all.count] })
    }
}
