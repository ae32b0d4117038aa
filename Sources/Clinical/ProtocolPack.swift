/// One file of `config/protocols`: the limits of one condition, or of every adult.
public struct ProtocolPack: Hashable, Sendable {
    /// The file's name without `.yaml`, as registries name it under `conditions`.
    public var code: String
    public var title: String
    /// SHA-256 of the file, 64 hexadecimal digits: which version judged.
    public var contentHash: String
    /// A pack that is not enabled judges nobody; patients who need it are grey.
    public var isEnabled: Bool
    public var bands: [Band]
    /// Beyond the bands.
    public var rules: [Rule]
    /// How far before a report the readings may lie that complete its NEWS2 score; only `adult`'s is looked at.
    public var news2Window: Interval

    /// Outside contract, section 7.
    public static let usualNEWS2Window = Interval.minutes(15)

    public init(
        code: String, title: String, contentHash: String, isEnabled: Bool = true, bands: [Band], rules: [Rule] = [],
        news2Window: Interval = ProtocolPack.usualNEWS2Window
    ) {
        self.rules = rules
        self.news2Window = news2Window
        self.code = code
        self.title = title
        self.contentHash = contentHash
        self.isEnabled = isEnabled
        self.bands = bands
    }
}

/// The limits of one kind on one side. Its rule is `KIND-low` or `KIND-high` in every pack.
public struct Band: Hashable, Sendable {
    public var kind: Kind
    public var side: Side
    public var applicability: Applicability
    /// In any order; the most severe that is met wins.
    public var limits: [BandLimit]
    /// How far inside every limit a reading must be before it is back in range, in the kind's canonical unit.
    public var clearMargin: Double
    /// How much worse inside red speaks again, in the kind's canonical unit; nil where the pack gives none.
    public var worseBy: Double?

    public init(
        kind: Kind, side: Side, applicability: Applicability = Applicability(), limits: [BandLimit],
        clearMargin: Double = 0, worseBy: Double? = nil
    ) {
        self.kind = kind
        self.side = side
        self.applicability = applicability
        self.limits = limits
        self.clearMargin = clearMargin
        self.worseBy = worseBy
    }

    /// `spo2-low`.
    public static func rule(_ kind: Kind, _ side: Side) -> String { "\(kind.code)-\(side.rawValue)" }
}

/// One limit of a band, and where its number comes from.
public struct BandLimit: Hashable, Sendable {
    public var threshold: Threshold
    public var reference: LimitReference
    public var source: String
    /// No published source was read.
    public var isProposal: Bool
    /// What the patient is told at once.
    public var advice: Advice?

    public init(
        threshold: Threshold, reference: LimitReference = .absolute, source: String, isProposal: Bool = false,
        advice: Advice? = nil
    ) {
        self.advice = advice
        self.threshold = threshold
        self.reference = reference
        self.source = source
        self.isProposal = isProposal
    }
}

/// What a limit's number is counted from.
public enum LimitReference: String, CaseIterable, Hashable, Sendable {
    case absolute
    /// The number is per cent of the patient's `baselines` entry for the kind. Without one the limit doesn't apply.
    case percentOfBaseline = "percent-of-baseline"
    /// The number is added to that end of the patient's target range which lies on the band's side. Without a target
    /// the limit doesn't apply. Only INR has targets.
    case offsetFromTarget = "offset-from-target"
}

/// For whom, or when, a band holds. Everything that is set must be so.
public struct Applicability: Hashable, Sendable {
    /// SpO2 only: the patient's NEWS2 scale.
    public var news2Scale: Int?
    /// Only where the same report carries an `oxygen` reading above 0: not sent is unknown, never air, never oxygen.
    public var onOxygen: Bool
    /// Whole years at the reading's time, this one included. An unknown date of birth meets every age, so that no
    /// limit is lost for want of it.
    public var ageFrom: Int?
    /// Whole years, this one excluded.
    public var ageBelow: Int?

    public init(news2Scale: Int? = nil, onOxygen: Bool = false, ageFrom: Int? = nil, ageBelow: Int? = nil) {
        self.news2Scale = news2Scale
        self.onOxygen = onOxygen
        self.ageFrom = ageFrom
        self.ageBelow = ageBelow
    }

    func holds(onOxygen isOnOxygen: Bool, age: Int?) -> Bool {
        if onOxygen, !isOnOxygen { return false }
        guard let age else { return true }
        return age >= ageFrom ?? 0 && age < ageBelow ?? .max
    }
}

/// The packs in force, by code.
public struct PackLibrary: Hashable, Sendable {
    /// The pack that applies to everybody.
    public static let everybody = "adult"

    private var byCode: [String: ProtocolPack]

    /// The last of two packs with one code stands.
    public init(_ packs: [ProtocolPack] = []) {
        byCode = Dictionary(packs.map { ($0.code, $0) }, uniquingKeysWith: { _, last in last })
    }

    public subscript(code: String) -> ProtocolPack? { byCode[code] }

    /// By code.
    public var packs: [ProtocolPack] { byCode.values.sorted { $0.code < $1.code } }
}
