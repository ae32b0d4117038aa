internal import Clinical
internal import Ingestion

/// The newest status and sequence number of each reader.
enum DeviceState {
    private static let writeStatuses = Statement(
        name: "write_statuses",
        sql: """
            INSERT INTO homeward.device_status AS s (device, online, battery, firmware, received_at, since)
            SELECT device, online, battery, firmware, received_at, received_at
            FROM unnest($1::int4[], $2::bool[], $3::float8[], $4::text[], $5::timestamptz[])
                AS said (device, online, battery, firmware, received_at)
            ON CONFLICT (device) DO UPDATE SET online = excluded.online, battery = excluded.battery,
                firmware = excluded.firmware, received_at = excluded.received_at,
                since = CASE WHEN s.online = excluded.online THEN s.since ELSE excluded.since END
            WHERE excluded.received_at >= s.received_at
            """)

    private static let writeSequences = Statement(
        name: "write_sequences",
        sql: """
            INSERT INTO homeward.device_sequence (device, highest, missing)
            SELECT device, highest, coalesce(missing::int8multirange, '{}')
            FROM unnest($1::int4[], $2::int8[], $3::text[]) AS seen (device, highest, missing)
            ON CONFLICT (device) DO UPDATE SET highest = excluded.highest, missing = excluded.missing
            """)

    static let readSequences = Statement(
        name: "read_sequences",
        sql: """
            SELECT d.code, s.highest, CASE WHEN NOT isempty(s.missing) THEN s.missing::text END
            FROM homeward.device_sequence s JOIN homeward.device d ON d.id = s.device
            WHERE s.device = ANY ($1::int4[])
            """)

    /// Rows of devices that are not in the registry are left out: their reports went to quarantine.
    static func calls(
        _ batch: CommitBatch, devices: [Identifier: Int32]
    ) -> [(statement: Statement, parameters: PostgresParameters)] {
        var calls: [(statement: Statement, parameters: PostgresParameters)] = []
        // The last of each device wins, and always in the same order, so that instances never deadlock.
        var statuses: [Int32: DeviceStatusRow] = [:]
        for row in batch.statuses {
            guard let device = devices[row.device] else { continue }
            if let seen = statuses[device], seen.receivedAt > row.receivedAt { continue }
            statuses[device] = row
        }
        if !statuses.isEmpty { calls.append((writeStatuses, parameters(statuses))) }
        var sequences: [Int32: DeviceSequence] = [:]
        for row in batch.sequences {
            if let device = devices[row.device] { sequences[device] = row }
        }
        if !sequences.isEmpty { calls.append((writeSequences, parameters(sequences))) }
        return calls
    }

    private static func parameters(_ statuses: [Int32: DeviceStatusRow]) -> PostgresParameters {
        let rows = statuses.sorted { $0.key < $1.key }
        var parameters = PostgresParameters()
        parameters.addNumbers(.int4, of: rows) { $0.key }
        parameters.addBooleans(of: rows) { $0.value.online }
        parameters.addDoubles(of: rows) { $0.value.battery }
        parameters.addTexts(of: rows) { $0.value.firmware.map(Quarantining.storable) }
        parameters.addInstants(of: rows) { $0.value.receivedAt }
        return parameters
    }

    private static func parameters(_ sequences: [Int32: DeviceSequence]) -> PostgresParameters {
        let rows = sequences.sorted { $0.key < $1.key }
        var parameters = PostgresParameters()
        parameters.addNumbers(.int4, of: rows) { $0.key }
        parameters.addNumbers(.int8, of: rows) { $0.value.highest }
        parameters.addTexts(of: rows) { multirange($0.value.missing) }
        return parameters
    }

    /// PostgreSQL's text of a multirange; nil when empty.
    static func multirange(_ ranges: [ClosedRange<Int64>]) -> String? {
        guard !ranges.isEmpty else { return nil }
        return "{" + ranges.map { "[\($0.lowerBound),\($0.upperBound)]" }.joined(separator: ",") + "}"
    }

    /// Reads PostgreSQL's canonical text, `{[1,4),[6,7)}`.
    static func ranges(_ multirange: String) -> [ClosedRange<Int64>] {
        let numbers = multirange.split { !"-0123456789".contains($0) }.map { Int64($0) }
        return stride(from: 0, to: numbers.count - 1, by: 2).compactMap { index in
            guard let lower = numbers[index], let upper = numbers[index + 1], lower < upper else { return nil }
            return lower...(upper - 1)
        }
    }
}
