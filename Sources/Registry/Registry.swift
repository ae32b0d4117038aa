public import Clinical

/// Everybody and everything that Homeward knows: sites, care teams, patients, readers, routes.
///
/// A value that never changes once made: the commit thread holds one and replaces it whole when the registry's
/// version moves. Codes of patients, devices and care managers are unique over the installation.
public struct Registry: Sendable {
    /// Grows by one with each change that was committed; 0 is an empty registry.
    public var version: Int64
    public var sites: [Identifier: Site]
    public var careManagers: [Identifier: CareManager]
    public var patients: [Identifier: Patient]
    public var devices: [Identifier: Device]
    public var escalation: [EscalationPath]
    /// Not of the registry's files: of the instance that holds it.
    public var served: ServedChannels

    public init(
        version: Int64 = 0, sites: [Identifier: Site] = [:], careManagers: [Identifier: CareManager] = [:],
        patients: [Identifier: Patient] = [:], devices: [Identifier: Device] = [:], escalation: [EscalationPath] = [],
        served: ServedChannels = ServedChannels()
    ) {
        self.version = version
        self.sites = sites
        self.careManagers = careManagers
        self.patients = patients
        self.devices = devices
        self.escalation = escalation
        self.served = served
    }

    /// The device of that code, if it is of that site.
    public func device(_ code: Identifier, at site: Identifier) -> Device? {
        guard let device = devices[code], device.site == site else { return nil }
        return device
    }

    /// The steps of alerts of this sort at a site, in or out of its hours: those of just these hours and those of
    /// `always` together, soonest first; else the standard ones.
    public func escalationSteps(
        site: Identifier, alertClass: EscalationPath.AlertClass, severity: Severity, inHours: Bool
    ) -> [EscalationStep] {
        let own = escalation.filter {
            $0.site == site && $0.alertClass == alertClass && $0.severity == severity
                && ($0.when == .always || $0.when == (inHours ? .inHours : .outOfHours))
        }.flatMap(\.steps)
        let steps =
            own.isEmpty
            ? EscalationPath.standard(site: site, alertClass: alertClass, severity: severity).steps : own
        return steps.sorted { $0.after < $1.after }
    }

    /// Whom a step means for a patient, by code; empty when it means nobody.
    public func careManagers(_ recipient: EscalationStep.Recipient, of patient: Patient) -> [CareManager] {
        switch recipient {
        case .keyWorker: patient.keyWorker.flatMap { careManagers[$0] }.map { [$0] } ?? []
        case .careManager(let code): careManagers[code].map { [$0] } ?? []
        case .teamLead:
            careManagers.values.filter { $0.site == patient.site && $0.role == .teamLead }
                .sorted { $0.code.description < $1.code.description }
        }
    }
}
