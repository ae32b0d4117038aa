/// One entry of the registry as the database keeps it: the field map that a person wrote, as JSON.
public struct RegistryEntry: Sendable, Hashable {
    public enum Entity: String, CaseIterable, Sendable {
        case site
        case careManager = "care-manager"
        case patient
        case device
        case escalation
    }

    public var entity: Entity
    /// The entry's code; of an escalation its site, class, severity and hours, which together are unique.
    public var code: String
    /// A JSON object.
    public var fields: String
    /// What the enrolment file said when the entry was last loaded from one.
    public var lastEnrolled: String?

    public init(entity: Entity, code: String, fields: String, lastEnrolled: String? = nil) {
        self.entity = entity
        self.code = code
        self.fields = fields
        self.lastEnrolled = lastEnrolled
    }
}
