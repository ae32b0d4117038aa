import Clinical

extension SimulatedWard {
    /// The registry that `enrol` needs before this ward's reports are known: the site, a key worker for every twenty
    /// patients and a team lead, the patients with their conditions, and the readers with their pairings.
    ///
    /// Pairings begin on 1 January 2020 and do not depend on the ward's start, so that enrolling again before another
    /// run changes nothing.
    ///
    /// - Parameter webhook: Where the care managers' alerts are posted to; without it they have only an e-mail
    ///   address, at `example.org`.
    public func registryYAML(site: String, timeZone: String = "Europe/London", webhook: String? = nil) -> String {
        var lines = [
            "# A simulated ward: nobody in here is a person.",
            "sites:",
            "  - { code: \(site), name: Simulated ward, timezone: \(timeZone), "
                + "hours: { mon-fri: \"08:00-18:00\" } }",
            "care_managers:",
        ]
        let reach = webhook.map { ", webhook: \"\($0)\"" } ?? ""
        let lead = "sim-lead-\(site)"
        lines.append(
            "  - { code: \(lead), site: \(site), name: Team lead of the simulated ward, "
                + "email: \(lead)@example.org\(reach), role: team-lead }")
        for number in 0..<((patients.count + 19) / 20) {
            let code = Self.keyWorker(number, site: site)
            lines.append(
                "  - { code: \(code), site: \(site), name: Care manager \(number + 1), "
                    + "email: \(code)@example.org\(reach), role: care-manager }")
        }
        lines.append("patients:")
        for patient in patients { lines += entry(of: patient, site: site) }
        lines.append("devices:")
        for patient in patients {
            lines.append(
                "  - { code: \(patient.device), site: \(site), "
                    + "pairings: [ { patient: \(patient.code), from: 2020-01-01T00:00:00Z } ] }")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func keyWorker(_ number: Int, site: String) -> String {
        "sim-cm-\(site)-\(padded(number + 1, width: 3))"
    }

    private func entry(of patient: SimulatedPatient, site: String) -> [String] {
        var lines = [
            "  - code: \(patient.code)",
            "    site: \(site)",
            "    name: Simulated patient \(patient.index + 1)",
            "    born: \(patient.born)",
            "    risk: \(patient.highRisk ? "high" : "standard")",
            "    key_worker: \(Self.keyWorker(patient.index / 20, site: site))",
            "    conditions: [\(patient.conditions.joined(separator: ", "))]",
            "    news2_scale: \(patient.news2Scale)",
        ]
        if patient.news2Scale == 2 {
            lines.append("    news2_scale_by: \(Self.keyWorker(patient.index / 20, site: site))")
        }
        var baselines: [String] = []
        func add(_ kind: Kind, steps: Double) {
            guard let usual = patient.usual[kind] else { return }
            let rounded = (usual * steps).rounded() / steps
            baselines.append("\(kind.code): \(Int(exactly: rounded).map(String.init) ?? rounded.description)")
        }
        if patient.conditions.contains("copd") { add(.spo2, steps: 1) }
        if patient.conditions.contains("asthma") { add(.peakFlow, steps: 1) }
        if patient.conditions.contains("heart-failure") { add(.weight, steps: 10) }
        if !baselines.isEmpty { lines.append("    baselines: { \(baselines.joined(separator: ", ")) }") }
        return lines
    }
}
