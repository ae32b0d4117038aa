internal import Clinical
public import Ingestion

extension PostgresCommitStore {
    private static let insertKeys = Statement(
        name: "insert_keys",
        sql: """
            INSERT INTO homeward.report_key (device, report_id, digest)
            SELECT * FROM unnest($1::int4[], $2::text[], $3::uuid[])
            ON CONFLICT DO NOTHING
            RETURNING device, report_id
            """)

    // A statement of its own, so that its snapshot holds what another transaction committed while the insert waited.
    private static let readKeys = Statement(
        name: "read_keys",
        sql: """
            SELECT wanted.place, k.digest
            FROM unnest($1::int4[], $2::text[], $3::int4[]) AS wanted (device, report_id, place)
            JOIN homeward.report_key k USING (device, report_id)
            """)

    public func claim(_ claims: [KeyClaim]) throws(StoreFailure) -> [KeyVerdict] {
        connection.startCall()
        hasWritten = true
        var verdicts = [KeyVerdict](repeating: .new, count: claims.count)
        try resolve(claims.lazy.filter(\.insert).map(\.key.device), in: \.devices)
        var toInsert: [PlacedClaim] = []
        var toRead: [PlacedClaim] = []
        for (place, claim) in claims.enumerated() {
            if let device = identifiers.devices[claim.key.device] {
                let placed = PlacedClaim(place: place, device: device, claim: claim)
                if claim.insert { toInsert.append(placed) } else { toRead.append(placed) }
            } else if claim.insert {
                throw StoreFailure(kind: .misconfigured, message: "claiming: a device is not in the registry")
            }
        }
        // Always in the same order, so that two instances with the same keys wait for each other but never deadlock.
        toInsert.sort(by: <)
        toRead += try insert(toInsert)
        try read(toRead, into: &verdicts)
        return verdicts
    }

    /// Inserts the keys; returns those that were there already.
    private func insert(_ claims: [PlacedClaim]) throws(StoreFailure) -> [PlacedClaim] {
        guard !claims.isEmpty else { return [] }
        var parameters = PlacedClaim.keys(claims)
        parameters.addArray(.uuid, of: claims) { placed, parameters in
            parameters.write((placed.claim.digestHigh, placed.claim.digestLow))
            return true
        }
        let inserted = try connection.run(Self.insertKeys, parameters, doing: "claiming keys")
        guard inserted.rowCount < claims.count else { return [] }
        // The rows come back in the order in which they were given.
        var row = 0
        return claims.filter { placed in
            guard inserted.int32(row, 0) == placed.device,
                inserted.identifier(row, 1, grammar: .report) == placed.claim.key.report
            else { return true }
            row += 1
            return false
        }
    }

    private func read(_ claims: [PlacedClaim], into verdicts: inout [KeyVerdict]) throws(StoreFailure) {
        guard !claims.isEmpty else { return }
        var parameters = PlacedClaim.keys(claims)
        parameters.addNumbers(.int4, of: claims) { Int32(truncatingIfNeeded: $0.place) }
        let found = try connection.run(Self.readKeys, parameters, doing: "reading keys")
        var digests: [Int: (high: UInt64, low: UInt64)] = [:]
        for row in 0..<found.rowCount {
            if let place = found.int32(row, 0) { digests[Int(place)] = found.uuid(row, 1) }
        }
        for placed in claims {
            if let digest = digests[placed.place] {
                let same = digest == (placed.claim.digestHigh, placed.claim.digestLow)
                verdicts[placed.place] = same ? .duplicate : .conflict
            } else if placed.claim.insert {
                throw StoreFailure(kind: .transient, message: "claiming keys: a key was removed meanwhile")
            }
        }
    }
}

/// A claim with its place in the caller's list and its device's id.
private struct PlacedClaim {
    var place: Int
    var device: Int32
    var claim: KeyClaim

    static func < (left: PlacedClaim, right: PlacedClaim) -> Bool {
        if left.device != right.device { return left.device < right.device }
        let (a, b) = (left.claim.key.report, right.claim.key.report)
        for index in 0..<min(a.count, b.count) where a[index] != b[index] { return a[index] < b[index] }
        return a.count < b.count
    }

    static func keys(_ claims: [PlacedClaim]) -> PostgresParameters {
        var parameters = PostgresParameters()
        parameters.addNumbers(.int4, of: claims) { $0.device }
        parameters.addArray(.text, of: claims) { placed, parameters in
            parameters.write(placed.claim.key.report)
            return true
        }
        return parameters
    }
}
