public import Clinical

/// A member of a site's care team.
public struct CareManager: Hashable, Sendable {
    public enum Role: String, CaseIterable, Sendable {
        case careManager = "care-manager"
        case teamLead = "team-lead"
        case readOnly = "read-only"
        case administrator
    }

    public var code: Identifier
    public var site: Identifier
    public var name: String?
    public var email: String?
    /// Where alerts are posted to; http or https.
    public var webhook: String?
    public var mobile: String?
    public var role: Role
    public var away: [Absence]

    public init(
        code: Identifier, site: Identifier, name: String? = nil, email: String? = nil, webhook: String? = nil,
        mobile: String? = nil, role: Role = .careManager, away: [Absence] = []
    ) {
        self.code = code
        self.site = site
        self.name = name
        self.email = email
        self.webhook = webhook
        self.mobile = mobile
        self.role = role
        self.away = away
    }
}

/// Days on which a deputy stands in; both ends included.
public struct Absence: Hashable, Sendable {
    public var from: CalendarDate
    public var until: CalendarDate
    public var deputy: Identifier?

    public init(from: CalendarDate, until: CalendarDate, deputy: Identifier?) {
        self.from = from
        self.until = until
        self.deputy = deputy
    }
}
