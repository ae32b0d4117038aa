/// What the stress test sends: a payload with a checksum, and a mark that each stage leaves.
struct Record: Sendable {
    private(set) var number = -1
    private var payload: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
    private var checksum: UInt64 = 0
    private(set) var decodedMark: UInt64 = 0
    private(set) var durableMark: UInt64 = 0

    mutating func fill(number: Int) {
        let seed = UInt64(number)
        self.number = number
        payload.0 = SplitMix64.mixed(seed &* 6)
        payload.1 = SplitMix64.mixed(seed &* 6 &+ 1)
        payload.2 = SplitMix64.mixed(seed &* 6 &+ 2)
        payload.3 = SplitMix64.mixed(seed &* 6 &+ 3)
        payload.4 = SplitMix64.mixed(seed &* 6 &+ 4)
        payload.5 = SplitMix64.mixed(seed &* 6 &+ 5)
        checksum = sum
        decodedMark = 0
        durableMark = 0
    }

    /// False if a word of the payload is not the one that was written with this number.
    var isWhole: Bool { checksum == sum && payload.0 == SplitMix64.mixed(UInt64(number) &* 6) }

    mutating func markDecoded() { decodedMark = SplitMix64.mixed(checksum) }

    mutating func markDurable() { durableMark = SplitMix64.mixed(decodedMark) }

    private var sum: UInt64 {
        payload.0 &+ payload.1 &* 3 &+ payload.2 &* 5 &+ payload.3 &* 7 &+ payload.4 &* 11 &+ payload.5 &* 13
    }

    var expectedDecodedMark: UInt64 { SplitMix64.mixed(checksum) }
    var expectedDurableMark: UInt64 { SplitMix64.mixed(expectedDecodedMark) }
}
