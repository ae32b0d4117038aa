internal import Clinical
internal import Registry

/// The statements of a change of the registry.
enum RegistryWriting {
    typealias Call = (statement: Statement, parameters: PostgresParameters)

    private static let insertEntries = Statement(
        name: "insert_entries",
        sql: """
            INSERT INTO homeward.registry_entry (entity, code, version, fields, last_enrolled, source, actor, reason)
            SELECT entity, code, $5::int8, fields::jsonb, last_enrolled::jsonb, $6::text, $7::text, $8::text
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS e (entity, code, fields, last_enrolled)
            """)
    private static let insertSites = Statement(
        name: "insert_sites",
        sql: "INSERT INTO homeward.site (code) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING")

    // A left join: a site that is not there is an error, not a row left out.
    private static let upsertPatients = Statement(
        name: "upsert_patients",
        sql: """
            INSERT INTO homeward.patient AS p (code, site)
            SELECT e.code, s.id FROM unnest($1::text[], $2::text[]) AS e (code, site)
            LEFT JOIN homeward.site s ON s.code = e.site
            ON CONFLICT (code) DO UPDATE SET site = excluded.site WHERE p.site <> excluded.site
            """)
    private static let upsertDevices = Statement(
        name: "upsert_devices",
        sql: """
            INSERT INTO homeward.device AS p (code, site)
            SELECT e.code, s.id FROM unnest($1::text[], $2::text[]) AS e (code, site)
            LEFT JOIN homeward.site s ON s.code = e.site
            ON CONFLICT (code) DO UPDATE SET site = excluded.site WHERE p.site <> excluded.site
            """)
    private static let upsertCareManagers = Statement(
        name: "upsert_care_managers",
        sql: """
            INSERT INTO homeward.care_manager AS p (code, site)
            SELECT e.code, s.id FROM unnest($1::text[], $2::text[]) AS e (code, site)
            LEFT JOIN homeward.site s ON s.code = e.site
            ON CONFLICT (code) DO UPDATE SET site = excluded.site WHERE p.site <> excluded.site
            """)

    private static let retirePairings = Statement(
        name: "retire_pairings",
        sql: """
            UPDATE homeward.pairing p SET retired_version = $6::int8
            FROM homeward.device d, homeward.patient c
            WHERE p.retired_version IS NULL AND d.id = p.device AND c.id = p.patient AND d.code = ANY ($5::text[])
                AND NOT EXISTS (
                    SELECT FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                        AS w (device, patient, since, until)
                    WHERE w.device = d.code AND w.patient = c.code AND p.period = tstzrange(w.since, w.until))
            """)
    private static let insertPairings = Statement(
        name: "insert_pairings",
        sql: """
            INSERT INTO homeward.pairing (device, patient, period, version)
            SELECT d.id, c.id, tstzrange(w.since, w.until), $5::int8
            FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                AS w (device, patient, since, until)
            LEFT JOIN homeward.device d ON d.code = w.device
            LEFT JOIN homeward.patient c ON c.code = w.patient
            WHERE NOT EXISTS (
                SELECT FROM homeward.pairing p
                WHERE p.retired_version IS NULL AND p.device = d.id AND p.patient = c.id
                    AND p.period = tstzrange(w.since, w.until))
            """)

    private static let moveVersion = Statement(
        name: "move_version", sql: "UPDATE homeward.registry_version SET version = $1::int8")
    private static let notify = Statement(
        name: "notify_registry", sql: "SELECT pg_notify('homeward_registry', '')")

    /// All that a change writes, and the word of it; the registry is at `version` afterwards.
    static func change(_ rows: [RegistryRow], _ update: RegistryUpdate, _ version: Int64) -> [Call] {
        var calls = [entries(rows, update, version)]
        calls += ids(rows, update.registry)
        calls += pairings(rows, update.registry, version)
        let patients = rows.filter { $0.key.entity == .patient && $0.isChanged }.map(\.key.code)
        if !patients.isEmpty { calls.append(SuppressionWriting.pauses(of: patients, version: version)) }
        var parameters = PostgresParameters()
        parameters.add(version)
        calls.append((moveVersion, parameters))
        calls.append((notify, PostgresParameters()))
        return calls
    }

    private static func entries(_ rows: [RegistryRow], _ update: RegistryUpdate, _ version: Int64) -> Call {
        var parameters = PostgresParameters()
        parameters.addTexts(of: rows) { $0.key.entity.rawValue }
        parameters.addTexts(of: rows) { $0.key.code }
        parameters.addTexts(of: rows) { $0.fields }
        parameters.addTexts(of: rows) { $0.lastEnrolled }
        parameters.add(version)
        parameters.add(update.source)
        parameters.add(update.actor)
        parameters.add(optional: update.reason)
        return (insertEntries, parameters)
    }

    /// The small ids of whatever is new, and the sites of whatever moved.
    private static func ids(_ rows: [RegistryRow], _ registry: Registry) -> [Call] {
        func codes(_ entity: RegistryEntity) -> [Identifier] {
            rows.filter { $0.key.entity == entity && $0.isChanged }.compactMap { Identifier($0.key.code) }
        }
        func call(_ statement: Statement, _ codes: [Identifier], _ site: (Identifier) -> Identifier?) -> Call? {
            guard !codes.isEmpty else { return nil }
            var parameters = PostgresParameters()
            parameters.addTexts(of: codes) { $0.description }
            parameters.addTexts(of: codes) { site($0)?.description }
            return (statement, parameters)
        }
        var sites = PostgresParameters()
        sites.addTexts(of: codes(.site)) { $0.description }
        let others = [
            call(upsertCareManagers, codes(.careManager)) { registry.careManagers[$0]?.site },
            call(upsertPatients, codes(.patient)) { registry.patients[$0]?.site },
            call(upsertDevices, codes(.device)) { registry.devices[$0]?.site },
        ]
        return [(insertSites, sites)] + others.compactMap { $0 }
    }

    /// Pairings of changed devices: those that are no longer wanted are retired first, to make room.
    private static func pairings(_ rows: [RegistryRow], _ registry: Registry, _ version: Int64) -> [Call] {
        let devices = rows.filter { $0.key.entity == .device && $0.isChanged }.compactMap { Identifier($0.key.code) }
        guard !devices.isEmpty else { return [] }
        let wanted = devices.flatMap { device in (registry.devices[device]?.pairings ?? []).map { (device, $0) } }
        var retire = PostgresParameters()
        retire.addTexts(of: wanted) { $0.0.description }
        retire.addTexts(of: wanted) { $0.1.patient.description }
        retire.addInstants(of: wanted) { $0.1.from }
        retire.addInstants(of: wanted) { $0.1.until }
        var insert = retire
        insert.add(version)
        retire.addTexts(of: devices) { $0.description }
        retire.add(version)
        return [(retirePairings, retire), (insertPairings, insert)]
    }
}
