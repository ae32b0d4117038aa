/// Which of the spool's two queues. Each keeps the order in which it was filled.
public enum SpoolLane: UInt8, CaseIterable, Sendable {
    /// Reports that PostgreSQL could not take in time. Drained first.
    case ordinary
    /// Reports of a device that sends more than its share. Drained when nothing else waits.
    case overflow
}

/// Why the spool can't take or give reports.
public struct SpoolFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Class: String, Sendable {
        /// The quota is reached or the file system has no room. Room comes back as the spool is drained.
        case full
        /// The file system refuses to write, to sync or to read.
        case broken
    }

    public var kind: Class
    /// The call and the system's word for its error; no report's content.
    public var message: String

    public init(kind: Class, message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String { "spool \(kind.rawValue): \(message)" }
}

/// What the spool found damaged. Each is told once.
public enum SpoolIncident: Hashable, Sendable {
    /// Records in the middle of a segment whose checksum or key is wrong: set aside in that file, the rest goes on.
    case corrupt(file: String, bytes: Int)
    /// The end of a segment that a crash cut short, before anything in it was acknowledged.
    case torn(file: String, bytes: Int)
}

/// Reports kept on the local disk while PostgreSQL can't take them, oldest first. Owned by the commit thread.
///
/// Payloads may be patients' data: files are for the daemon's user alone.
public protocol ReportSpool: AnyObject {
    /// Messages that were appended and not removed yet.
    func count(of lane: SpoolLane) -> Int
    /// On disk, both lanes, from any thread.
    var bytes: Int { get }
    /// Of the quota, 0 to 1, from any thread.
    var fill: Double { get }
    /// Durable when it returns; nothing was taken when it throws. The last twentieth of the quota is for messages
    /// that hold a red.
    func append(_ messages: [Message], to lane: SpoolLane, holdingRed: Bool) throws(SpoolFailure)
    /// The oldest messages, at most `limit`, which stay where they are. `receivedTick` is 0.
    func first(_ limit: Int, of lane: SpoolLane) throws(SpoolFailure) -> [Message]
    /// Forgets the oldest `count` messages. After a crash some of them may come again: their keys are stored by then.
    func removeFirst(_ count: Int, of lane: SpoolLane) throws(SpoolFailure)
    /// What was found damaged since the last call.
    func takeIncidents() -> [SpoolIncident]
}
