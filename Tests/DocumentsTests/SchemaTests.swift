import Clinical
import Foundation
import Testing

@testable import Documents

/// The JSON Schemas in `config/schemas`, which editors use, say what the readers read: no key more and none less.
@Suite struct SchemaTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func schema(_ name: String) throws -> [String: Any] {
        let data = try Data(contentsOf: Self.root.appending(path: "config/schemas/\(name).schema.json"))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    private func propertyNames(_ value: Any) -> Set<String> {
        var found: Set<String> = []
        if let object = value as? [String: Any] {
            if let properties = object["properties"] as? [String: Any] { found.formUnion(properties.keys) }
            for inner in object.values { found.formUnion(propertyNames(inner)) }
        }
        if let list = value as? [Any] { for inner in list { found.formUnion(propertyNames(inner)) } }
        return found
    }

    /// The keys that a reader asks for by name.
    private func keysRead(_ files: [String]) throws -> Set<String> {
        var keys: Set<String> = []
        for file in files {
            let path = Self.root.appending(path: "Sources/Documents/\(file).swift")
            let text = try String(contentsOf: path, encoding: .utf8)
            for match in text.matches(of: /(?:optional|required)\(\s*"([^"]+)"/) { keys.insert(String(match.1)) }
        }
        return keys
    }

    private let bounds: Set<String> = ["below", "at_or_below", "above", "at_or_above"]

    @Test func packKeys() throws {
        let read = try keysRead(["PackDocument", "RuleDocument"]).union(bounds).union(["red", "amber"])
            .union(RuleDocument.Condition.allCases.map(\.rawValue))
        #expect(propertyNames(try schema("pack")).symmetricDifference(read) == [])
    }

    @Test func registryKeys() throws {
        let files = [
            "SiteDocument", "CareManagerDocument", "PatientDocument", "OwnLimitDocument", "DeviceDocument",
            "EscalationDocument", "RegistryFile",
        ]
        let limits = ["red", "amber"].flatMap { severity in bounds.map { "\(severity)_\($0)" } }
        let read = try keysRead(files).union(limits)
            .union(["sites", "care_managers", "patients", "devices", "escalation"])
        #expect(propertyNames(try schema("registry")).symmetricDifference(read) == [])
    }

    @Test func choices() throws {
        let pack = try #require(try schema("pack")["$defs"] as? [String: [String: Any]])
        #expect(pack["kind"]?["enum"] as? [String] == Kind.allCases.map(\.code))
        #expect(pack["question"]?["enum"] as? [String] == Question.allCases.map(\.rawValue))
        let level = try #require(pack["level"]?["properties"] as? [String: [String: Any]])
        #expect(level["flag"]?["enum"] as? [String] == ReadingFlags.names.map(\.name))
        #expect(level["news2"]?["enum"] as? [String] == NEWS2Measure.allCases.map(\.rawValue))
        #expect(level["from"]?["enum"] as? [String] == OwnMeasure.Measure.allCases.map(\.rawValue))
        let band = try #require(pack["band"]?["properties"] as? [String: [String: Any]])
        #expect(band["unit"]?["enum"] as? [String] == UCUMUnit.allCases.map(\.code))
        #expect(band["side"]?["enum"] as? [String] == Side.allCases.map(\.rawValue))
        let registry = try #require(try schema("registry")["$defs"] as? [String: [String: Any]])
        #expect(registry["kind"]?["enum"] as? [String] == Kind.allCases.map(\.code))
    }

    /// Every key of every shipped file stands where its schema has it, and nothing that the schema requires is missing.
    @Test func shippedFiles() throws {
        let directory = Self.root.appending(path: "config/protocols")
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path(percentEncoded: false))
        #expect(names.count == 7)
        for name in names { try check(directory.appending(path: name), "pack", modeline: "../schemas/") }
        try check(Self.root.appending(path: "config/registry.yaml"), "registry", modeline: "schemas/")
    }

    private func check(_ file: URL, _ name: String, modeline: String) throws {
        let bytes = [UInt8](try Data(contentsOf: file))
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.hasPrefix("# yaml-language-server: $schema=\(modeline)\(name).schema.json\n"))
        let node = try #require(YAMLDocument.parse(bytes, file: file.lastPathComponent, ProblemList()))
        let schema = try schema(name)
        walk(node, schema, schema, file.lastPathComponent)
    }

    private func walk(_ node: DocumentNode, _ part: [String: Any], _ root: [String: Any], _ place: String) {
        let branches = branches(of: part, root)
        switch node.content {
        case .mapping(let fields):
            let objects = branches.filter { $0["properties"] != nil || $0["additionalProperties"] is [String: Any] }
            for field in fields {
                let inner = objects.compactMap { object -> [String: Any]? in
                    (object["properties"] as? [String: [String: Any]])?[field.name]
                        ?? object["additionalProperties"] as? [String: Any]
                }
                #expect(!inner.isEmpty, "\(place).\(field.name), line \(field.line ?? 0)")
                for schema in inner.prefix(1) { walk(field.value, schema, root, "\(place).\(field.name)") }
            }
            let isComplete = objects.contains { object in
                (object["required"] as? [String] ?? []).allSatisfy { key in fields.contains { $0.name == key } }
            }
            #expect(isComplete, "\(place), line \(node.line ?? 0)")
        case .list(let nodes):
            let items = branches.compactMap { $0["items"] as? [String: Any] }
            #expect(!items.isEmpty, "\(place), line \(node.line ?? 0)")
            for inner in nodes { for schema in items.prefix(1) { walk(inner, schema, root, place) } }
        case .string(let text, _):
            let choices = branches.compactMap { $0["enum"] as? [Any] }
            let isChoice =
                branches.contains { $0["enum"] == nil } || choices.contains { $0.contains { $0 as? String == text } }
            #expect(isChoice, "\(place), line \(node.line ?? 0): \(text)")
        case .null, .boolean, .number: break
        }
    }

    /// The schema itself, what it refers to, and what `oneOf` lets it be.
    private func branches(of part: [String: Any], _ root: [String: Any]) -> [[String: Any]] {
        var found: [[String: Any]] = []
        if let reference = part["$ref"] as? String, let name = reference.split(separator: "/").last,
            let target = (root["$defs"] as? [String: [String: Any]])?[String(name)]
        {
            found += branches(of: target, root)
        }
        let choices = (part["oneOf"] as? [[String: Any]] ?? []).filter { $0["required"] == nil }
        for choice in choices { found += branches(of: choice, root) }
        if part["$ref"] == nil, choices.isEmpty { found.append(part) }
        return found
    }
}
