public import Clinical

/// A topic of the contract: `homeward/v1/{site}/{device}/report`, `…/status` or `…/receipt`.
public struct HomewardTopic: Hashable, Sendable {
    /// The topic's last level.
    public enum Leaf: String, Sendable, CaseIterable { case report, status, receipt }

    public var site: Identifier
    public var device: Identifier
    public var leaf: Leaf

    public init(site: Identifier, device: Identifier, leaf: Leaf) {
        self.site = site
        self.device = device
        self.leaf = leaf
    }

    /// Nil when `bytes` are not such a topic to the letter: `bad-topic`. Allocates nothing.
    public init?(_ bytes: Span<UInt8>) {
        let prefix: StaticString = "homeward/v1/"
        let prefixCount = prefix.utf8CodeUnitCount
        guard bytes.count > prefixCount else { return nil }
        for index in 0..<prefixCount {
            guard unsafe bytes[index] == prefix.utf8Start[index] else { return nil }
        }
        let slash = UInt8(ascii: "/")
        var siteEnd = prefixCount
        while siteEnd < bytes.count, bytes[siteEnd] != slash { siteEnd += 1 }
        var deviceEnd = siteEnd + 1
        while deviceEnd < bytes.count, bytes[deviceEnd] != slash { deviceEnd += 1 }
        guard deviceEnd < bytes.count,
            let site = Identifier(bytes.extracting(prefixCount..<siteEnd), grammar: .topic),
            let device = Identifier(bytes.extracting((siteEnd + 1)..<deviceEnd), grammar: .topic),
            let leaf = Self.leaf(bytes.extracting((deviceEnd + 1)..<bytes.count))
        else { return nil }
        self.init(site: site, device: device, leaf: leaf)
    }

    public init?(_ text: String) {
        let utf8 = Array(text.utf8)
        self.init(utf8.span)
    }

    /// The topic as it stands in MQTT.
    public var text: String { "homeward/v1/\(site)/\(device)/\(leaf.rawValue)" }

    /// Where receipts for `device` go.
    public static func receipt(site: Identifier, device: Identifier) -> String {
        HomewardTopic(site: site, device: device, leaf: .receipt).text
    }

    private static func leaf(_ bytes: Span<UInt8>) -> Leaf? {
        func isWord(_ word: StaticString) -> Bool {
            guard bytes.count == word.utf8CodeUnitCount else { return false }
            for index in bytes.indices {
                guard unsafe bytes[index] == word.utf8Start[index] else { return false }
            }
            return true
        }
        if isWord("report") { return .report }
        if isWord("status") { return .status }
        if isWord("receipt") { return .receipt }
        return nil
    }
}
