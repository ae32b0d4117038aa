import Ingestion

/// Keys of reports judged in an outage, with what they said: a redelivered one is not judged again. Bounded: of a very
/// long outage the oldest half is forgotten at a time, and such a report merely joins its own alert.
struct RecentKeys {
    private struct Print: Hashable {
        var high: UInt64
        var low: UInt64
    }

    private let mostOfHalf: Int
    private var newer: [Print: UInt64] = [:]
    private var older: [Print: UInt64] = [:]

    init(mostOfHalf: Int = 500_000) { self.mostOfHalf = mostOfHalf }

    /// Whether a claim's report is new.
    func verdict(_ claim: KeyClaim) -> KeyVerdict {
        let key = print(of: claim)
        guard let content = newer[key] ?? older[key] else { return .new }
        return content == claim.digestLow ? .duplicate : .conflict
    }

    mutating func insert(_ claim: KeyClaim) {
        if newer.count >= mostOfHalf {
            older = newer
            newer = [:]
        }
        newer[print(of: claim)] = claim.digestLow
    }

    private func print(of claim: KeyClaim) -> Print {
        func half(_ salt: UInt8) -> UInt64 {
            var hasher = Hasher()
            hasher.combine(salt)
            hasher.combine(claim.key)
            return UInt64(bitPattern: Int64(hasher.finalize()))
        }
        return Print(high: half(0), low: half(1))
    }
}
