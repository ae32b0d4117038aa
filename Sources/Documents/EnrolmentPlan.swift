public import Registry

/// A field as the database has it.
public struct StoredField: Hashable, Sendable {
    public var value: FieldValue
    /// What `enrol` last put or found there; nil where only others ever wrote it.
    public var loaded: FieldValue?

    public init(value: FieldValue, loaded: FieldValue?) {
        self.value = value
        self.loaded = loaded
    }
}

/// What loading files would do to the database: nothing is written by making it.
///
/// A field is written when the file has another value than the database and nobody else changed it since it was last
/// loaded. A field that was changed elsewhere is a conflict, and then nothing at all is to be written, unless `replace`.
public struct EnrolmentPlan: Hashable, Sendable {
    public struct Change: Hashable, Sendable {
        public enum Sort: String, Hashable, Sendable {
            case add
            case update
        }

        public var key: RegistryKey
        public var sort: Sort
        /// The fields to write, with their new values; of an added entry, all that it has.
        public var fields: [String: FieldValue]

        public init(key: RegistryKey, sort: Sort, fields: [String: FieldValue]) {
            self.key = key
            self.sort = sort
            self.fields = fields
        }
    }

    /// A field that was changed elsewhere since it was last loaded.
    public struct Conflict: Hashable, Sendable, CustomStringConvertible {
        public var key: RegistryKey
        public var field: String
        public var file: String
        public var line: Int?

        public var description: String {
            let place = line.map { "\(file):\($0)" } ?? file
            return "\(place): \(field) of \(key) was changed elsewhere since it was last loaded"
        }
    }

    /// In the order of keys: sites first, then care managers, patients, devices, escalations.
    public private(set) var changes: [Change] = []
    public private(set) var unchanged: [RegistryKey] = []
    /// In the order of keys and field names. Not empty: nothing is to be written, exit 65.
    public private(set) var conflicts: [Conflict] = []
    /// What the database is to remember as last loaded, written or not: every field of the files without a conflict.
    public private(set) var loaded: [RegistryKey: [String: FieldValue]] = [:]

    /// - Parameters:
    ///   - files: entries of the files, each key once.
    ///   - stored: what the database has, by key; entries that no file names may be left out.
    ///   - replace: overwrite what was changed elsewhere.
    public init(files: [RegistryEntry], stored: [RegistryKey: [String: StoredField]], replace: Bool = false) {
        for entry in files.sorted(by: { $0.key < $1.key }) {
            guard let fields = stored[entry.key] else {
                changes.append(Change(key: entry.key, sort: .add, fields: entry.fields))
                loaded[entry.key] = entry.fields
                continue
            }
            var written: [String: FieldValue] = [:]
            var settled: [String: FieldValue] = [:]
            var hasConflict = false
            for (name, value) in entry.fields.sorted(by: { $0.key < $1.key }) {
                let current = fields[name]?.value ?? .null
                let isOurs = current == fields[name]?.loaded ?? .null
                if value != current, !isOurs, !replace {
                    let source = entry.sources[name]
                    conflicts.append(
                        Conflict(
                            key: entry.key, field: name, file: source?.file ?? entry.key.description,
                            line: source?.line))
                    hasConflict = true
                    continue
                }
                settled[name] = value
                if value != current { written[name] = value }
            }
            loaded[entry.key] = settled
            if !written.isEmpty {
                changes.append(Change(key: entry.key, sort: .update, fields: written))
            } else if !hasConflict {
                unchanged.append(entry.key)
            }
        }
    }

    /// Whether the changes may be written: all or nothing.
    public var isClean: Bool { conflicts.isEmpty }

    /// All entries as they would stand afterwards, for `RegistryBuilder`: what is stored, with the files' fields over it.
    public static func merged(
        files: [RegistryEntry], stored: [RegistryKey: [String: StoredField]]
    ) -> [RegistryEntry] {
        let named = Set(files.map(\.key))
        let others = stored.filter { !named.contains($0.key) }.sorted { $0.key < $1.key }
        return files.map { $0.merged(over: (stored[$0.key] ?? [:]).mapValues(\.value)) }
            + others.map { RegistryEntry(key: $0.key, fields: $0.value.mapValues(\.value)) }
    }

    /// What would be done, in words, one line each; values are left out, since they are about people.
    public var lines: [String] {
        let told = changes.map { change in
            let names = change.fields.keys.sorted().joined(separator: ", ")
            return switch change.sort {
            case .add: "add \(change.key)\(names.isEmpty ? "" : " (\(names))")"
            case .update: "update \(change.key): \(names)"
            }
        }
        let added = changes.count { $0.sort == .add }
        let counts = "\(added) to add, \(changes.count - added) to update, \(unchanged.count) unchanged"
        let refused = conflicts.isEmpty ? "" : ", \(conflicts.count) changed elsewhere"
        return told + conflicts.map(\.description) + [counts + refused]
    }
}
