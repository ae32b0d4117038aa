import Clinical
import Registry

/// An entry of `care_managers`.
enum CareManagerDocument {
    static func value(code: Identifier, _ links: RegistryLinks) -> DocumentValue<CareManager> {
        .record { reader in
            let site = reader.required("site", links.reference(to: .site))
            let name = reader.optional("name", .text.withheld)
            let email = reader.optional("email", .email.withheld)
            let webhook = reader.optional("webhook", .webURL.withheld)
            let mobile = reader.optional("mobile", .text.withheld)
            let role = reader.optional("role", .choice(CareManager.Role.self)) ?? .careManager
            let away = reader.optional("away", .list(of: absence(of: code, links))) ?? []
            guard let site else { return nil }
            return CareManager(
                code: code, site: site, name: name, email: email, webhook: webhook, mobile: mobile, role: role,
                away: away)
        }
    }

    private static func absence(of code: Identifier, _ links: RegistryLinks) -> DocumentValue<Absence> {
        .record { reader in
            let days = reader.daySpan()
            let deputy = reader.optional("deputy", links.reference(to: .careManager))
            if deputy == code { reader.report("nobody is their own deputy", at: "deputy") }
            return days.map { Absence(from: $0.lowerBound, until: $0.upperBound, deputy: deputy) }
        }
    }
}

extension MappingReader {
    /// `from` and `until`, both days included.
    func daySpan() -> ClosedRange<CalendarDate>? {
        let from = required("from", .date)
        let until = required("until", .date)
        guard let from, let until else { return nil }
        guard from <= until else {
            report("\(until) is before \(from)", at: "until")
            return nil
        }
        return from...until
    }
}
