import Clinical
import Registry

/// What refers to what: which entries there are, and the checks that wait until all of them were read.
final class RegistryLinks {
    private let codes: [RegistryEntity: Set<String>]
    let packs: PackLibrary
    private var waiting: [(Registry) -> Void] = []

    init(keys: some Sequence<RegistryKey>, packs: PackLibrary) {
        codes = Dictionary(grouping: keys, by: \.entity).mapValues { Set($0.map(\.code)) }
        self.packs = packs
    }

    /// A code that must be one of `entity`'s. An entry that is wrong itself still counts as being there.
    func reference(to entity: RegistryEntity) -> DocumentValue<Identifier> {
        DocumentValue { [self] node, context in
            guard let code = DocumentValue.identifier.read(node, context) else { return nil }
            if contains(entity, code) { return code }
            let nearest = nearest(entity, to: code).map { "; the nearest is \($0)" } ?? ""
            context.report("there is no \(entity.words) \(code)\(nearest)", at: node)
            return nil
        }
    }

    func contains(_ entity: RegistryEntity, _ code: Identifier) -> Bool {
        codes[entity]?.contains(code.description) ?? false
    }

    /// Runs `check` with everything that could be read, after the last entry.
    func later(_ check: @escaping (Registry) -> Void) { waiting.append(check) }

    func runWaiting(_ registry: Registry) {
        for check in waiting { check(registry) }
        waiting.removeAll()
    }

    private func nearest(_ entity: RegistryEntity, to code: Identifier) -> String? {
        NearestName.nearest(to: code.description, among: (codes[entity] ?? []).sorted())
    }
}

extension RegistryEntity {
    /// As a person says it: `care manager`.
    var words: String { self == .careManager ? "care manager" : rawValue }
}

extension DocumentValue where Value == String {
    /// `local@domain`, nothing that a mail header could misread.
    static var email: DocumentValue {
        DocumentValue<String>.text.mapping(expected: "an e-mail address") { text in
            let parts = text.split(separator: "@", omittingEmptySubsequences: false)
            guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }), text.utf8.count <= 254 else { return nil }
            let isClean = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !#"<>,;:"()[]\"#.utf8.contains($0) }
            guard isClean, !parts[1].hasPrefix("."), !parts[1].hasSuffix("."), !parts[1].contains("..") else {
                return nil
            }
            return text
        }
    }

    /// An IANA time zone that this machine knows.
    static var timeZone: DocumentValue {
        DocumentValue<String>.text.mapping(expected: "a time zone such as Europe/London") { text in
            KnownTimeZones.contains(text) ? text : nil
        }
    }

    /// An http or https URL with a host.
    static var webURL: DocumentValue {
        DocumentValue<String>.text.mapping(expected: "an http or https URL") { text in
            WebAddress(text) == nil ? nil : text
        }
    }
}
