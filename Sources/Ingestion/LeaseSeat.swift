import CLinux
import Synchronization

/// Whether this instance is the one of its shard that reads from the broker, judges, keeps time and tells. Any thread.
///
/// The lease's keeper says it; the commit thread says when a commit was refused because the lease is another's by now.
public final class LeaseSeat: Sendable {
    public enum Standing: Sendable, Hashable {
        /// Nobody has said yet: nothing is begun.
        case undecided
        /// Nil: held before there were leases, as far as the state directory knows. Nothing can be committed before the
        /// lease is taken; everything else goes on as while the database is away.
        case holder(epoch: Int64?)
        case standby
    }

    private struct State {
        var standing = Standing.undecided
        var hasHandover = false
        /// Nil: nobody has said.
        var judging: Standing?
        var observers: [@Sendable (Standing) -> Void] = []
    }

    /// The lease's name.
    public let shard: String
    /// This instance's, as the lease has it.
    public let instance: String
    private let state = Mutex(State())
    /// When the lease was last asked for, whatever came of it; monotonic nanoseconds, 0: never.
    private let looked = Atomic<Int64>(0)
    private let paired = Atomic<Bool>(false)
    /// Longer than any look takes; the lease itself lasts no longer.
    static let oldLook: Int64 = 6_000_000_000

    public init(shard: String, instance: String) {
        self.shard = shard
        self.instance = instance
    }

    public var standing: Standing { state.withLock(\.standing) }

    public var isHolder: Bool { if case .holder = standing { true } else { false } }

    /// Nil where it is not held, or not taken yet.
    public var epoch: Int64? { if case .holder(let epoch) = standing { epoch } else { nil } }

    /// The lease was asked for; there may have been no answer.
    public func noteLook() { looked.store(linux_monotonic_nanoseconds(), ordering: .releasing) }

    /// There is, or was of late, another instance that may take the lease.
    public var isPaired: Bool { paired.load(ordering: .acquiring) }

    /// Said by the keeper.
    public func note(isPaired: Bool) { paired.store(isPaired, ordering: .releasing) }

    /// The process stood still, or its keeper does: it may have another holder by now, and nobody here knows. Never of a
    /// lone instance, whose messages wait for no keeper.
    public var isLookOld: Bool {
        guard isPaired else { return false }
        let last = looked.load(ordering: .acquiring)
        return last != 0 && linux_monotonic_nanoseconds() - last > Self.oldLook
    }

    /// Called after each change, on the thread that made it; must not wait.
    public func onChange(_ observe: @escaping @Sendable (Standing) -> Void) {
        state.withLock { $0.observers.append(observe) }
    }

    public func set(_ standing: Standing) { change { _ in standing } }

    /// The commit thread has forgotten whatever it remembered before that epoch.
    public func judges(under epoch: Int64?) { state.withLock { $0.judging = .holder(epoch: epoch) } }

    /// What is about to be committed was judged under that epoch, or by whoever remembers nothing.
    public func isJudged(under epoch: Int64) -> Bool {
        state.withLock { $0.judging.map { $0 == .holder(epoch: epoch) } ?? true }
    }

    /// A commit under that epoch was refused.
    public func lose(_ epoch: Int64?) { change { $0 == .holder(epoch: epoch) ? .standby : $0 } }

    private func change(_ next: (Standing) -> Standing) {
        let observers = state.withLock { state -> [@Sendable (Standing) -> Void] in
            let standing = next(state.standing)
            guard standing != state.standing else { return [] }
            state.standing = standing
            return state.observers
        }
        let standing = standing
        for observe in observers { observe(standing) }
    }

    /// An instance that is not the holder has left something to be judged.
    public var hasHandover: Bool {
        get { state.withLock(\.hasHandover) }
        set { state.withLock { $0.hasHandover = newValue } }
    }
}

/// The way on which one instance leaves to the lease's holder what it took in and may not judge. Commit thread only.
public protocol Handover: AnyObject {
    /// Durable when it returns: the messages, and the journal's lines of what was told while the database was away.
    func handOver(_ messages: [Message], told: [UInt8]) throws(StoreFailure)
    /// What others left, journals first, else in the order in which it was left; it stays until it is forgotten.
    func handedOver(limit: Int) throws(StoreFailure) -> [HandedOver]
    func forget(_ rows: [HandedOver]) throws(StoreFailure)
}

/// One row of what was left to the holder.
public struct HandedOver: Sendable {
    public enum Content: Sendable {
        case message(Message)
        case told([UInt8])
    }

    public var id: Int64
    public var content: Content

    public init(id: Int64, content: Content) {
        self.id = id
        self.content = content
    }
}

/// A ledger of what was told that can be taken over by another instance's.
public protocol TransferableLedger: AnyObject {
    /// Everything in it; empty where there is nothing, nil while a message is under way.
    func lines() -> [UInt8]?
    /// Another instance has it now.
    func forgetEverything()
    /// Adds what another instance told. What it did not send is not sent before it is recorded: it may have been sent
    /// from the outbox.
    func adopt(_ lines: [UInt8])
}
