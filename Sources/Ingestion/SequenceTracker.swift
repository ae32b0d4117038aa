import Clinical

extension DeviceSequence {
    /// The most missing numbers that are kept; beyond it the oldest are given up.
    static let maximumRanges = 100
    /// A device that counts from the start again (a new reader, a reset) is not a hole.
    static let restart: Int64 = 1

    enum Step: Hashable {
        /// As expected, or nothing to learn.
        case none
        /// Numbers between the last one and this one have not come.
        case hole(ClosedRange<Int64>)
        /// A missing number came after all.
        case filled
    }

    /// Takes one report's `seq`. The same number twice changes nothing.
    mutating func take(_ number: Int64) -> Step {
        if number > highest {
            let hole = highest + 1 <= number - 1 ? (highest + 1)...(number - 1) : nil
            highest = number
            guard let hole else { return .none }
            missing.append(hole)
            if missing.count > Self.maximumRanges { missing.removeFirst(missing.count - Self.maximumRanges) }
            return .hole(hole)
        }
        if let place = missing.firstIndex(where: { $0.contains(number) }) {
            let range = missing.remove(at: place)
            var rest: [ClosedRange<Int64>] = []
            if range.lowerBound < number { rest.append(range.lowerBound...(number - 1)) }
            if number < range.upperBound { rest.append((number + 1)...range.upperBound) }
            missing.insert(contentsOf: rest, at: place)
            return .filled
        }
        if number <= Self.restart {
            highest = number
            missing = []
        }
        return .none
    }
}
