import Foundation

/// SplitMix64 (Steele, Lea and Flood, 2014): the same seed gives the same numbers on every machine and in every
/// release, which the standard library does not promise of its own `random(in:using:)`.
public struct SeededGenerator: Sendable {
    private var state: UInt64

    /// One stream of its own for each `path` under `seed`, so that adding a patient changes nobody else's numbers.
    public init(seed: UInt64, path: UInt64...) {
        state = seed
        for step in path { state = next() ^ (step &* 0xD1B5_4A32_D192_ED03) }
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// 0 up to, but not, 1.
    public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    public mutating func uniform(_ range: ClosedRange<Double>) -> Double {
        range.lowerBound + unit() * (range.upperBound - range.lowerBound)
    }

    /// 0 up to, but not, `bound`; 0 where `bound` is below 2.
    public mutating func below(_ bound: Int) -> Int {
        bound < 2 ? 0 : Int(next() % UInt64(bound))
    }

    public mutating func chance(_ probability: Double) -> Bool { unit() < probability }

    /// A standard normal deviate (Box and Muller), cut off at ±2.5: bodies and readers have no unbounded tails.
    public mutating func normal() -> Double {
        let radius = (-2 * log(1 - unit())).squareRoot()
        return min(2.5, max(-2.5, radius * cos(2 * .pi * unit())))
    }

    /// One of `choices`, each as likely as its weight says.
    public mutating func pick<Choice>(_ choices: [(choice: Choice, weight: Double)], otherwise: Choice) -> Choice {
        var left = unit() * choices.reduce(0) { $0 + $1.weight }
        for (choice, weight) in choices {
            left -= weight
            if left < 0 { return choice }
        }
        return otherwise
    }
}
