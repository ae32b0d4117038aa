public import Clinical
public import Registry

/// A ward small enough to be read at a glance: a pack of two bands, a key worker, a team lead where one is wanted, and
/// as many patients with a reader as the test names.
public enum SmallWard {
    /// 2026-11-23T08:15:32Z, a Monday morning.
    public static let now = Instant(microseconds: 1_795_421_732_000_000)
    public static let north = Identifier("north")!

    /// SpO2 is red at once at 92 and amber at 94; systolic is red over 170, twice in 24 h.
    public static let packs = PackLibrary([
        ProtocolPack(
            code: "adult", title: "Test adult", contentHash: "00",
            bands: [
                Band(
                    kind: .spo2, side: .low,
                    limits: [
                        BandLimit(
                            threshold: Threshold(
                                severity: .red, limit: Limit(value: 92, inclusive: true), immediate: true),
                            source: "test"),
                        BandLimit(
                            threshold: Threshold(severity: .amber, limit: Limit(value: 94, inclusive: true)),
                            source: "test"),
                    ], worseBy: 2),
                Band(
                    kind: .systolic, side: .high,
                    limits: [
                        BandLimit(
                            threshold: Threshold(
                                severity: .red, limit: Limit(value: 170, inclusive: false), occurrences: 2,
                                within: .hours(24)),
                            source: "test")
                    ]),
            ])
    ])

    /// Everybody is of the site `north` and `cm-01`'s patient; each reader is paired from 20 days before `now`.
    public static func registry(
        version: Int64 = 1, readers: [(patient: String, device: String)], hasLead: Bool = true,
        pairedUntil end: Instant? = nil
    ) -> Registry {
        let worker = CareManager(code: Identifier("cm-01")!, site: north, webhook: "http://127.0.0.1:1/worker")
        var registry = Registry(
            version: version, sites: [north: Site(code: north, name: "North")], careManagers: [worker.code: worker])
        if hasLead {
            let lead = CareManager(
                code: Identifier("lead")!, site: north, webhook: "http://127.0.0.1:1/lead", role: .teamLead)
            registry.careManagers[lead.code] = lead
        }
        for (patient, device) in readers {
            let patient = Patient(code: Identifier(patient)!, site: north, keyWorker: worker.code)
            let device = Device(
                code: Identifier(device)!, site: north,
                pairings: [Pairing(patient: patient.code, from: now - .days(20), until: end)])
            registry.patients[patient.code] = patient
            registry.devices[device.code] = device
        }
        return registry
    }
}
