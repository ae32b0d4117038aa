import Synchronization

/// How much of the quota is taken. Any thread may read it, also while the spool is at work.
public final class SpoolLevel: Sendable {
    /// In bytes.
    public let quota: Int
    private let used = Atomic<Int>(0)

    init(quota: Int) { self.quota = quota }

    /// On disk, both lanes; files of set-aside bytes are not among them.
    public var bytes: Int { used.load(ordering: .relaxed) }

    /// Of the quota, 0 to 1.
    public var fill: Double { quota > 0 ? min(1, Double(bytes) / Double(quota)) : 1 }

    func set(_ bytes: Int) { used.store(bytes, ordering: .relaxed) }
}
