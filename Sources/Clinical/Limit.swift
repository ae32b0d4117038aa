extension Limit {
    /// A glucose limit named in mmol/L; the other of the pair is rounded to 1 mg/dL.
    public static func glucose(millimolesPerLitre value: Double, inclusive: Bool) -> Limit {
        let other = (value * Kind.milligramsPerDecilitrePerMillimolePerLitre).rounded(.toNearestOrAwayFromZero)
        return Limit(value: value, milligramsPerDecilitre: other, inclusive: inclusive)
    }

    /// A glucose limit named in mg/dL; the other of the pair is rounded to 0.1 mmol/L.
    public static func glucose(milligramsPerDecilitre value: Double, inclusive: Bool) -> Limit {
        let tenths = value / Kind.milligramsPerDecilitrePerMillimolePerLitre * 10
        return Limit(
            value: tenths.rounded(.toNearestOrAwayFromZero) / 10, milligramsPerDecilitre: value, inclusive: inclusive)
    }
}

extension Kind {
    /// NEWS2's parameters are compared at the chart's resolution (temperature 0.1, the rest whole numbers); nil for
    /// all other kinds, which are compared as they are.
    var chartResolution: ChartResolution? {
        switch self {
        case .spo2, .respiratoryRate, .systolic, .pulse: .whole
        case .temperature: .tenth
        default: nil
        }
    }
}

enum ChartResolution {
    case whole
    case tenth

    /// Half away from zero. The small addition keeps halves that binary fractions can't hold (38.05) on the side where
    /// the meter's display has them.
    func rounded(_ value: Double) -> Double {
        let steps = (self == .tenth ? value.magnitude * 10 : value.magnitude) + 1e-9
        let magnitude = steps.rounded(.toNearestOrAwayFromZero) / (self == .tenth ? 10 : 1)
        return value < 0 ? -magnitude : magnitude
    }
}

/// A reading as far as limits see it, whether it just came or is stored.
struct Measured {
    var kind: Kind
    var value: Double
    var sentValue: Double
    var sentUnit: UCUMUnit?
    var flags: ReadingFlags

    /// What limits in the canonical unit are held against: at the chart's resolution where the kind has one.
    private var compared: Double

    init(_ reading: Reading) {
        self.init(
            kind: reading.kind, value: reading.value, sentValue: reading.sentValue, sentUnit: reading.sentUnit,
            flags: reading.flags)
    }

    init(_ reading: PastReading) {
        self.init(
            kind: reading.kind, value: reading.value, sentValue: reading.sentValue, sentUnit: reading.sentUnit,
            flags: reading.flags)
    }

    private init(kind: Kind, value: Double, sentValue: Double, sentUnit: UCUMUnit?, flags: ReadingFlags) {
        self.kind = kind
        self.value = value
        self.sentValue = sentValue
        self.sentUnit = sentUnit
        self.flags = flags
        compared = kind.chartResolution?.rounded(value) ?? value
    }

    /// The meter could not measure and sent its own limit instead.
    var isBeyondMeter: Bool { isBeyondMeter(on: .low) || isBeyondMeter(on: .high) }

    /// The meter gave up on that side: beyond every limit there.
    func isBeyondMeter(on side: Side) -> Bool { flags.contains(side == .low ? .outOfRangeLow : .outOfRangeHigh) }

    /// Whether it lies beyond `limit`, moved inside by `margin` (canonical unit). Glucose is compared in the unit that
    /// was sent, against that unit's number of the pair.
    func isBeyond(_ limit: Limit, on side: Side, margin: Double = 0) -> Bool {
        if isBeyondMeter(on: side) { return true }
        let inside = side == .low ? margin : -margin
        var compared = compared
        var bound = limit.value + inside
        if kind == .glucose, sentUnit == .milligramsPerDecilitre, let pair = limit.milligramsPerDecilitre {
            compared = sentValue
            bound = pair + inside * Kind.milligramsPerDecilitrePerMillimolePerLitre
        } else if margin != 0, let resolution = kind.chartResolution {
            bound = resolution.rounded(bound)
        }
        if compared == bound { return limit.inclusive }
        return side == .low ? compared < bound : compared > bound
    }

    /// How bad, higher is worse, in the kind's canonical unit. What a meter could not measure counts as zero on the
    /// low side and as the highest plausible value on the high side, so that it is worse than any number.
    func worseness(on side: Side) -> Double {
        switch (side, isBeyondMeter(on: side)) {
        case (.low, true): 0
        case (.low, false): -value
        case (.high, true): max(value, kind.plausibility.refusedOutside.upperBound)
        case (.high, false): value
        }
    }
}
