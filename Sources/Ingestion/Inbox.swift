public import Clinical

/// The mqtt thread's end of the pipeline. Only that thread calls it; nothing in here blocks or allocates for a
/// message of ordinary size.
public protocol Inbox: ~Copyable {
    /// How many messages can be taken now. 0 means: stop reading from the broker.
    var freeSlots: Int { get }
    /// Copies one message into the next slot. False when full (nothing was taken). Not visible to the stages before
    /// `publish()`. Of a payload over 64 KiB only the first 64 KiB are given, with `fullLength` and its SHA-256.
    mutating func receive(
        topic: Span<UInt8>, payload: Span<UInt8>, fullLength: Int, digest: [UInt8]?, retained: Bool,
        receivedAt: Instant
    ) -> Bool
    /// Hands everything received since the last call to the decode stage.
    mutating func publish()
    /// Every message that was published is durable: their PUBACKs may leave.
    var isAllDurable: Bool { get }
    /// Gives the receipts of durable messages in order and frees their slots; stops at the first that `send` can't
    /// take (returns false). True when nothing durable is left unsent.
    mutating func releaseDurable(_ send: (_ topic: String, _ payload: Span<UInt8>) -> Bool) -> Bool
    /// For the poll set: readable when `durable` moved while parked, or a stage failed.
    var wakeDescriptor: Int32 { get }
    /// Arms the wake. False when there is already something to do: don't sleep.
    mutating func park() -> Bool
    mutating func drainWake()
    /// A stage has failed: close the connection without acknowledging and stop.
    var hasFailed: Bool { get }
}
