public import Clinical

/// A hand-held reader, and who held it when.
public struct Device: Hashable, Sendable {
    public var code: Identifier
    public var site: Identifier
    /// In order of `from`; never overlapping.
    public var pairings: [Pairing]
    /// It shows its receipts: it can ask the patient to measure again. No red waits for a repeat that nobody asks for.
    public var canAsk: Bool

    public init(code: Identifier, site: Identifier, pairings: [Pairing] = [], canAsk: Bool = true) {
        self.canAsk = canAsk
        self.code = code
        self.site = site
        self.pairings = pairings
    }

    /// The patient who held the reader at `instant`; nil when nobody did.
    public func patient(at instant: Instant) -> Identifier? {
        pairings.last { $0.contains(instant) }?.patient
    }

    /// The patient who holds it at `instant`, else the last one who held it before: whom a refused red is about.
    public func presentOrLastPatient(at instant: Instant) -> Identifier? {
        patient(at: instant) ?? pairings.last { $0.from <= instant }?.patient ?? pairings.first?.patient
    }
}

/// A span in which a device is a patient's: `from` is in it, `until` is not.
public struct Pairing: Hashable, Sendable {
    public var patient: Identifier
    public var from: Instant
    public var until: Instant?

    public init(patient: Identifier, from: Instant, until: Instant? = nil) {
        self.patient = patient
        self.from = from
        self.until = until
    }

    public func contains(_ instant: Instant) -> Bool {
        from <= instant && (until.map { instant < $0 } ?? true)
    }
}
