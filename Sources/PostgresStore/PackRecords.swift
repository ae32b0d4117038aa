public import Clinical

/// What the database knows of which contents of packs were met, approved and retired, and when; without the contents.
public struct PackRecords: Hashable, Sendable {
    public struct Content: Hashable, Sendable {
        public var pack: String
        /// SHA-256.
        public var hash: [UInt8]
        /// When a daemon was first configured with it.
        public var seenAt: Instant

        public init(pack: String, hash: [UInt8], seenAt: Instant) {
            self.pack = pack
            self.hash = hash
            self.seenAt = seenAt
        }
    }

    public struct Approval: Hashable, Sendable {
        public var pack: String
        public var hash: [UInt8]
        public var at: Instant
        public var retiredAt: Instant?

        public init(pack: String, hash: [UInt8], at: Instant, retiredAt: Instant? = nil) {
            self.pack = pack
            self.hash = hash
            self.at = at
            self.retiredAt = retiredAt
        }
    }

    /// In the order in which they were met.
    public var contents: [Content] = []
    /// In the order in which they were taken.
    public var approvals: [Approval] = []

    public init() {}
}
