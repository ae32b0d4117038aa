import Foundation

/// The limits that hold for one patient, or for every patient with the same profile: packs and own limits resolved by
/// precedence, once.
///
/// Per kind and side: the patient's own limit replaces the side that it names; where it names no red, the packs' reds
/// stand. Else the condition packs' bands replace
/// `adult`'s; of two condition packs the more severe result wins. SpO2 follows `news2Scale` alone: condition packs
/// have no say in it. `red: off` turns a kind's reds into ambers until that day is over. The site's choice of the
/// amber limit for low glucose stands in for the packs'.
///
/// Immutable: shared between patients and threads. `Plans` hands out one object for equal profiles.
public final class Plan: Sendable {
    /// IANA name, for the local time in sentences.
    public let timeZone: String
    let zone: TimeZone
    /// What is wrong with the profile, for `enrol` to refuse with these words. A plan with problems still judges by
    /// everything in it that can be used.
    public let problems: [PlanProblem]
    /// Rules that lack what they need: the patient is grey with these reasons.
    public let lacking: [PlanLack]

    /// 1 or 2, as the registry says.
    public let news2Scale: Int
    /// Who chose scale 2; nil for scale 1, and where the registry doesn't say.
    public let news2ScaleBy: String?
    /// How far before a report its missing parameters may lie.
    public let news2Window: Interval

    /// Whether some rule looks at the NEWS2 score.
    public let usesNEWS2: Bool

    let asksForSeveral: Bool
    let rules: [ResolvedRule]
    private let sides: [ResolvedSide]
    private let redOffBefore: [Kind: Instant]
    private let born: CalendarDate?
    private let personalBests: [Kind: Double]
    private let baselines: [Kind: Double]
    private let dryWeight: Double?

    public init(profile: PatientProfile, packs: PackLibrary) {
        var compiler = PlanCompiler(profile: profile, packs: packs)
        compiler.compile()
        timeZone = profile.timeZone
        zone = TimeZone(identifier: profile.timeZone) ?? .gmt
        news2Scale = profile.news2Scale
        news2ScaleBy = profile.news2Scale == 1 ? nil : profile.news2ScaleBy
        news2Window = packs[PackLibrary.everybody]?.news2Window ?? ProtocolPack.usualNEWS2Window
        problems = compiler.problems
        lacking = compiler.lacking
        sides = compiler.sides
        asksForSeveral = sides.contains { ($0.preferred + $0.fallback).contains(where: \.asksForSeveral) }
        rules = compiler.rules
        usesNEWS2 = compiler.rules.contains(where: \.usesScore)
        redOffBefore = compiler.redOffBefore
        baselines = profile.baselines
        dryWeight = profile.dryWeight
        born = profile.born
        personalBests = profile.baselines.filter { $0.key == .peakFlow || $0.key == .fev1 }
    }

    /// What `enrol` must refuse in a profile; empty for a good one.
    public static func problems(of profile: PatientProfile, packs: PackLibrary) -> [PlanProblem] {
        Plan(profile: profile, packs: packs).problems
    }

    /// The limits that judge a reading of that kind taken at that time, most severe first within each band; for showing
    /// to people.
    ///
    /// - Parameter onOxygen: the reading's report says that there was oxygen.
    public func limits(_ kind: Kind, _ side: Side, onOxygen: Bool, at instant: Instant) -> [BandLimit] {
        bands(kind, side, onOxygen: onOxygen, at: instant).flatMap(\.thresholds).map(\.limit)
    }

    /// The same with and without oxygen, each limit with when it holds.
    public func limits(_ kind: Kind, _ side: Side, at instant: Instant) -> [LimitInForce] {
        let without: [BandLimit] = limits(kind, side, onOxygen: false, at: instant)
        let with: [BandLimit] = limits(kind, side, onOxygen: true, at: instant)
        return without.map { LimitInForce(limit: $0, holds: with.contains($0) ? .always : .notOnOxygen) }
            + with.filter { !without.contains($0) }.map { LimitInForce(limit: $0, holds: .onOxygen) }
    }

    /// Whether a limit on that side asks for a repeat, for whom or when ever it holds.
    func hasRepeat(_ kind: Kind, _ side: Side) -> Bool {
        let resolved = sides[PlanCompiler.place(kind, side)]
        let bands = resolved.preferred.isEmpty ? resolved.fallback : resolved.preferred
        return bands.contains { $0.thresholds.contains { $0.threshold.repeatAfter != nil } }
    }

    /// Over 150 % of the personal best.
    func markAbovePersonalBest(in readings: inout [Reading]) {
        guard !personalBests.isEmpty else { return }
        for place in readings.indices {
            guard let best = personalBests[readings[place].kind], readings[place].value > 1.5 * best,
                !readings[place].suspicions.contains(.abovePersonalBest)
            else { continue }
            readings[place].suspicions.append(.abovePersonalBest)
        }
    }

    func bands(_ kind: Kind, _ side: Side, onOxygen: Bool, at instant: Instant) -> [ResolvedBand] {
        let resolved = sides[PlanCompiler.place(kind, side)]
        // The ordinary plan asks for nothing: hand its array out as it is.
        guard resolved.isConditional else {
            return resolved.preferred.isEmpty ? resolved.fallback : resolved.preferred
        }
        let age = born?.age(at: instant)
        let preferred = resolved.preferred.filter { $0.applicability.holds(onOxygen: onOxygen, age: age) }
        if !preferred.isEmpty { return preferred }
        return resolved.fallback.filter { $0.applicability.holds(onOxygen: onOxygen, age: age) }
    }

    /// Whole years; nil where the date of birth is not known.
    func age(at instant: Instant) -> Int? { born?.age(at: instant) }

    func ownMeasure(_ measure: OwnMeasure.Measure, of kind: Kind) -> Double? {
        switch measure {
        case .baseline: baselines[kind]
        case .dryWeight: dryWeight
        }
    }

    func isRedOff(_ kind: Kind, at instant: Instant) -> Bool {
        guard !redOffBefore.isEmpty, let end = redOffBefore[kind] else { return false }
        return instant < end
    }
}

/// A limit of a plan, and when it holds.
public struct LimitInForce: Hashable, Sendable {
    public enum Holds: Hashable, Sendable {
        case always
        /// Where the reading's report says that there was oxygen.
        case onOxygen
        /// Where it doesn't.
        case notOnOxygen
    }

    public var limit: BandLimit
    public var holds: Holds

    public init(limit: BandLimit, holds: Holds) {
        self.limit = limit
        self.holds = holds
    }
}

/// Hands out one plan for all profiles that are judged alike. One thread's; make a new one when packs change.
public struct Plans {
    public let packs: PackLibrary
    private var plans: [PatientProfile: Plan] = [:]
    private let usesAge: Bool
    private let usesTarget: Bool
    private let usesDryWeight: Bool
    private let baselines: Set<Kind>

    public init(packs: PackLibrary) {
        self.packs = packs
        let bands = packs.packs.filter(\.isEnabled).flatMap(\.bands)
        let levels = packs.packs.filter(\.isEnabled).flatMap(\.rules).flatMap(\.levels)
        usesAge = (bands.map(\.applicability) + levels.map(\.applicability)).contains {
            $0.ageFrom != nil || $0.ageBelow != nil
        }
        let differences = levels.compactMap { level -> (kind: Kind, measure: OwnMeasure.Measure)? in
            guard case .difference(let kind, _, _, let own) = level.condition else { return nil }
            return (kind, own.measure)
        }
        usesDryWeight = differences.contains { $0.measure == .dryWeight }
        usesTarget = bands.contains { $0.limits.contains { $0.reference == .offsetFromTarget } }
        let relative = bands.filter { $0.limits.contains { $0.reference == .percentOfBaseline } }
        baselines = Set(relative.map(\.kind)).union([.peakFlow, .fev1])
            .union(differences.filter { $0.measure == .baseline }.map(\.kind))
    }

    /// How many different plans there are.
    public var count: Int { plans.count }

    /// The plan for a profile: the same object for every profile that differs only in what no limit looks at.
    public mutating func plan(for profile: PatientProfile) -> Plan {
        var relevant = profile
        if !usesAge { relevant.born = nil }
        if !usesTarget { relevant.inrTarget = nil }
        relevant.highRisk = false
        if relevant.news2Scale == 1 { relevant.news2ScaleBy = nil }
        if !usesDryWeight { relevant.dryWeight = nil }
        relevant.baselines = profile.baselines.filter { baselines.contains($0.key) }
        relevant.conditions = Set(profile.conditions).sorted()
        if let plan = plans[relevant] { return plan }
        let plan = Plan(profile: relevant, packs: packs)
        plans[relevant] = plan
        return plan
    }
}

/// Why a profile can't be enrolled. `description` has no patient data but the limits themselves.
public enum PlanProblem: Error, Hashable, Sendable, CustomStringConvertible {
    case unknownPack(String)
    /// Beyond amber comes red, and low lies below high: this profile has it the other way round.
    case inverted(Kind, String)
    /// `red: off` without by or reason.
    case redOffUnexplained(Kind)

    public var description: String {
        switch self {
        case .unknownPack(let code): "there is no protocol pack \"\(code)\""
        case .inverted(let kind, let words): "the limits of \(kind.code) are inverted: \(words)"
        case .redOffUnexplained(let kind): "red: off for \(kind.code) needs by, reason and until"
        }
    }
}

/// A rule that lacks what it needs.
public enum PlanLack: Hashable, Sendable, CustomStringConvertible {
    case baseline(Kind)
    case target(Kind)
    case packDisabled(String)

    public var description: String {
        switch self {
        case .baseline(let kind): "\(kind.name) has no baseline"
        case .target(let kind): "\(kind.name) has no target"
        case .packDisabled(let code): "the protocol pack \(code) is not enabled"
        }
    }
}

/// One side of a kind in a plan.
struct ResolvedSide: Sendable {
    /// The patient's own limit or the condition packs'.
    var preferred: [ResolvedBand] = []
    /// `adult`'s, where none of `preferred` applies; empty beside an own limit.
    var fallback: [ResolvedBand] = []

    /// Some band asks for oxygen or an age.
    var isConditional = false
}

/// A band with absolute limits.
struct ResolvedBand: Sendable {
    /// Most severe first.
    let thresholds: [ResolvedThreshold]
    /// The same without their words: all that comparing touches.
    let bounds: [Threshold]
    let asksForSeveral: Bool
    let applicability: Applicability
    let clearMargin: Double
    let worseBy: Double?
    let pack: String
    let packHash: String

    init(
        thresholds: [ResolvedThreshold], applicability: Applicability, clearMargin: Double, worseBy: Double?,
        pack: String, packHash: String
    ) {
        self.thresholds = thresholds
        bounds = thresholds.map(\.threshold)
        asksForSeveral = bounds.contains { $0.occurrences > 1 }
        self.applicability = applicability
        self.clearMargin = clearMargin
        self.worseBy = worseBy
        self.pack = pack
        self.packHash = packHash
    }

    /// Nil where it has none.
    var onlyReds: ResolvedBand? {
        let reds = thresholds.filter { $0.threshold.severity == .red }
        if reds.isEmpty { return nil }
        return ResolvedBand(
            thresholds: reds, applicability: applicability, clearMargin: clearMargin, worseBy: worseBy, pack: pack,
            packHash: packHash)
    }

    /// Inside every limit by the margin.
    func isClear(_ measured: Measured, on side: Side) -> Bool {
        for bound in bounds where measured.isBeyond(bound.limit, on: side, margin: clearMargin) { return false }
        return true
    }
}

struct ResolvedThreshold: Sendable {
    var limit: BandLimit
    var basis: String?

    var threshold: Threshold { limit.threshold }
}
