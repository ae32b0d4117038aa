public import Clinical

/// A practice or a ward: the unit of tenancy.
public struct Site: Hashable, Sendable {
    public var code: Identifier
    public var name: String
    /// IANA name.
    public var timeZone: String
    /// Opening hours; empty means never open (everything is out of hours).
    public var hours: [OpeningHours]
    /// Told "unanswered" when a chain has run out.
    public var fallbackEmail: String?
    /// mmol/L; nil is the pack's.
    public var glucoseLow: Double?

    public init(
        code: Identifier, name: String, timeZone: String = "Europe/London", hours: [OpeningHours] = [],
        fallbackEmail: String? = nil, glucoseLow: Double? = nil
    ) {
        self.code = code
        self.name = name
        self.timeZone = timeZone
        self.hours = hours
        self.fallbackEmail = fallbackEmail
        self.glucoseLow = glucoseLow
    }
}

/// `mon-fri: "08:00-18:00"`.
public struct OpeningHours: Hashable, Sendable {
    public var days: Set<Weekday>
    /// Minutes after local midnight, opens before closes.
    public var opens: Int
    public var closes: Int

    public init(days: Set<Weekday>, opens: Int, closes: Int) {
        self.days = days
        self.opens = opens
        self.closes = closes
    }
}
