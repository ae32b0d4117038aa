import Clinical
import Registry

/// Each patient's plan, until the registry or the packs change.
struct PlanCache {
    private var plans: Plans
    private var byPatient: [Identifier: Plan] = [:]

    init(packs: PackLibrary) { plans = Plans(packs: packs) }

    mutating func forgetPatients() { byPatient.removeAll(keepingCapacity: true) }

    /// The default adult pack alone.
    mutating func planOfTheUnknown() -> Plan { plans.plan(for: PatientProfile()) }

    mutating func plan(for patient: Identifier, in registry: Registry) -> Plan {
        if let plan = byPatient[patient] { return plan }
        let plan = plans.plan(for: registry.patients[patient]?.profile ?? PatientProfile())
        byPatient[patient] = plan
        return plan
    }
}
