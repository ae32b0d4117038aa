internal import Clinical
internal import Ingestion

/// Rows of quarantine. Nothing in them can be refused: this is where everything ends that was refused elsewhere.
enum Quarantining {
    // Twins within the batch are counted first: ON CONFLICT DO UPDATE can't touch a row twice. A payload over 64 KiB
    // is told apart by the SHA-256 in its detail, since only its head is kept. What is only counted is one row an hour.
    private static let statement = Statement(
        name: "quarantine",
        sql: """
            INSERT INTO homeward.quarantine AS q (fingerprint, received_at, last_received_at, times_seen, place, site,
                device, report_id, reason, detail, topic, payload)
            SELECT DISTINCT ON (fingerprint) fingerprint, received_at, max(received_at) OVER twins,
                count(*) OVER twins, place, site, device, report_id, reason, detail, topic, payload
            FROM (
                SELECT *, sha256(
                    sha256(convert_to(topic, 'UTF8')) || sha256(convert_to(reason || coalesce(' ' || place, '')
                        || CASE WHEN reason = 'too-large' AND hour IS NULL THEN detail ELSE '' END
                        || coalesce(' in ' || hour, ''), 'UTF8')) || payload) AS fingerprint
                FROM unnest($1::timestamptz[], $2::int2[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::text[], $9::bytea[], $10::text[])
                    AS refused (received_at, place, site, device, report_id, reason, detail, topic, payload, hour)
            ) AS refused
            WINDOW twins AS (PARTITION BY fingerprint)
            ORDER BY fingerprint, received_at
            ON CONFLICT (fingerprint) DO UPDATE SET times_seen = q.times_seen + excluded.times_seen,
                last_received_at = greatest(q.last_received_at, excluded.last_received_at)
            """)

    static func call(_ rows: [QuarantinedReport]) -> (statement: Statement, parameters: PostgresParameters) {
        var parameters = PostgresParameters()
        parameters.addInstants(of: rows) { finite($0.receivedAt) }
        parameters.addNumbers(.int2, of: rows) { $0.reading.map { Int16(clamping: $0) } }
        parameters.addTexts(of: rows) { $0.site?.description }
        parameters.addTexts(of: rows) { $0.device?.description }
        parameters.addTexts(of: rows) { $0.reportID?.description }
        parameters.addTexts(of: rows) { $0.reason.rawValue }
        parameters.addTexts(of: rows) { storable($0.detail) }
        parameters.addTexts(of: rows) { storable(topic: $0.topic) }
        parameters.addArray(.bytea, of: rows) { row, parameters in
            parameters.write(raw: row.payload)
            return true
        }
        parameters.addTexts(of: rows) { $0.countedIn }
        return (statement, parameters)
    }

    /// What PostgreSQL can keep of a text: it has no NUL.
    static func storable(_ text: String) -> String {
        guard text.utf8.contains(0) else { return text }
        return String(text.unicodeScalars.map { $0.value == 0 ? "\u{FFFD}" : Character($0) })
    }

    /// A topic as text; bytes that are no text stand as `\xHH`, so that different topics stay different.
    static func storable(topic: [UInt8]) -> String {
        if let text = String(validating: topic, as: UTF8.self), !topic.contains(0) { return text }
        var text = ""
        for byte in topic {
            if (0x20..<0x7f).contains(byte), byte != UInt8(ascii: "\\") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16)
                text += "\\x" + (digits.utf8.count < 2 ? "0" : "") + digits
            }
        }
        return text
    }

    /// Our own clock's time, held within what PostgreSQL can keep.
    private static func finite(_ instant: Instant) -> Instant {
        let start = Instant(microseconds: 0)
        return max(start, min(instant, start + .days(365 * 8000)))
    }
}
