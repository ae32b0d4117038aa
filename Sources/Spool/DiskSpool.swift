public import Ingestion

/// Reports on the local disk while PostgreSQL can't take them: a lane is a directory of segment files, `ordinary` and
/// `overflow` in the spool's.
///
/// Owned by one thread at a time; only `level` may be read from others. A batch takes one write and one sync. Opening
/// reads everything that is there once. What is damaged is set aside beside its segment (`*.corrupt`) for a person to
/// look at and to remove; it doesn't count towards the quota.
///
/// Without a key reports lie in plain text, readable by the daemon's user. With one, what an earlier life wrote in plain
/// text is still read, and what is new is encrypted.
public final class DiskSpool: ReportSpool {
    /// Any thread.
    public let level: SpoolLevel
    /// Reports that an earlier life left here: received, and not ended yet. Statuses of devices are not among them.
    public let reportsAtOpening: Int

    private let lanes: [Lane]
    // Held as long as the spool is.
    private let directory: SpoolDirectory

    /// Opens the spool in `directory`, whose parent exists, and makes it where it isn't there.
    ///
    /// - Parameters:
    ///   - quota: bytes of both lanes together. More than that of an earlier life is kept and drained.
    ///   - segmentSize: bytes at which a new segment is begun; disk comes back a segment at a time.
    public convenience init(
        directory: String, quota: Int, segmentSize: Int = 16 * 1024 * 1024, key: SpoolKey? = nil
    ) throws(SpoolUnavailable) {
        try self.init(directory: directory, quota: quota, segmentSize: segmentSize, key: key, calls: .linux)
    }

    init(
        directory path: String, quota: Int, segmentSize: Int, key: SpoolKey?, calls: SystemCalls
    ) throws(SpoolUnavailable) {
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        // Numbered as `SpoolLane` is.
        lanes = SpoolLane.allCases.map {
            Lane(directory: "\(path)/\($0)", key: key, segmentSize: segmentSize, calls: calls)
        }
        directory = try SpoolDirectory(path, lanes: lanes.map(\.directory), calls: calls)
        level = SpoolLevel(quota: quota)
        for lane in lanes { try lane.open() }
        reportsAtOpening = lanes.map { $0.count - $0.statusesAtOpening }.reduce(0, +)
        measure()
    }

    public var bytes: Int { level.bytes }
    public var fill: Double { level.fill }

    public func count(of lane: SpoolLane) -> Int { self[lane].count }

    public func append(_ messages: [Message], to lane: SpoolLane, holdingRed: Bool) throws(SpoolFailure) {
        guard messages.allSatisfy(RecordFormat.holds) else {
            throw SpoolFailure(kind: .broken, message: "append: a message is longer than any may be")
        }
        let allowed = holdingRed ? level.quota : level.quota - level.quota / 20
        let cost = self[lane].cost(of: messages)
        guard cost <= allowed - bytes else {
            throw SpoolFailure(kind: .full, message: "append: \(cost) bytes more than \(bytes) pass \(allowed)")
        }
        defer { measure() }
        try self[lane].append(messages)
    }

    public func first(_ limit: Int, of lane: SpoolLane) throws(SpoolFailure) -> [Message] {
        guard limit > 0 else { return [] }
        return try self[lane].first(limit)
    }

    public func removeFirst(_ count: Int, of lane: SpoolLane) throws(SpoolFailure) {
        guard count > 0 else { return }
        defer { measure() }
        try self[lane].removeFirst(count)
    }

    public func takeIncidents() -> [SpoolIncident] {
        let found = lanes.flatMap(\.incidents)
        for lane in lanes { lane.incidents = [] }
        return found
    }

    private subscript(lane: SpoolLane) -> Lane { lanes[Int(lane.rawValue)] }

    private func measure() { level.set(lanes.reduce(0) { $0 + $1.bytes }) }
}
