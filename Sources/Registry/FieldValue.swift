/// A field of a registry entry as data: what a file said and what the database keeps, before it is a typed value.
///
/// Encodes to JSON and back without loss; numbers are binary64, as everywhere in JSON.
public enum FieldValue: Hashable, Sendable {
    case null
    case boolean(Bool)
    /// Finite.
    case number(Double)
    case string(String)
    case array([FieldValue])
    case object([String: FieldValue])
}

extension FieldValue: Encodable {
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .boolean(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

/// What kinds of entries the registry has. The raw value is the name in the database and in messages.
public enum RegistryEntity: String, CaseIterable, Sendable, Hashable, Codable {
    case site
    case careManager = "care-manager"
    case patient
    case device
    case escalation
}

/// Which entry: unique over the installation.
public struct RegistryKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var entity: RegistryEntity
    /// The entry's code; for an escalation `SITE/CLASS/SEVERITY/WHEN`.
    public var code: String

    public init(entity: RegistryEntity, code: String) {
        self.entity = entity
        self.code = code
    }

    /// `patient P0001`.
    public var description: String { "\(entity.rawValue) \(code)" }

    /// Sites first, then care managers, patients, devices, escalations: nobody before those they refer to.
    public static func < (left: RegistryKey, right: RegistryKey) -> Bool {
        if left.entity == right.entity { return left.code < right.code }
        let order = RegistryEntity.allCases
        return (order.firstIndex(of: left.entity) ?? 0) < (order.firstIndex(of: right.entity) ?? 0)
    }
}
