public import Alerting
public import Clinical
import Cryptography
public import Documents
import Formats
import Registry

/// What the daemon judges from when it starts while PostgreSQL is away, on disk: the registry, which is large and moves
/// seldom, the open episodes, which are few and move all the time, and the rule windows, which are large and may be old
/// by minutes. Each is written whole or not at all.
///
/// A file: a line of JSON that says what it is and the SHA-256 of the rest, then a line of JSON per entry. A damaged
/// file, or one of another version, is refused: the caller goes on as if there were none, and says so.
public struct SnapshotDirectory: Sendable {
    static let format: Int64 = 2

    private let registryPath: String
    private let statePath: String
    private let windowsPath: String

    /// The directory must be there; files in it are for the daemon's user alone.
    public init(path: String) {
        registryPath = path + "/registry.snapshot"
        statePath = path + "/state.snapshot"
        windowsPath = path + "/windows.snapshot"
    }

    /// The entries as the database has them at that version. Takes seconds for 100,000 patients; any thread, one at a
    /// time.
    public func write(registry entries: [RegistryEntry], version: Int64) throws(OutageFault) {
        var writer = JSONWriter()
        for entry in entries {
            writer.beginObject()
            writer.member("entity", entry.key.entity.rawValue)
            writer.member("code", entry.key.code)
            writer.name("fields")
            writer.fields(entry.fields)
            writer.endObject()
            writer.endLine()
        }
        try Self.write(writer.bytes, kind: "registry", version: version, to: registryPath)
    }

    /// Nil where none was written yet.
    public func readRegistry() throws(OutageFault) -> (entries: [RegistryEntry], version: Int64)? {
        guard let file = try Self.read(kind: "registry", registryPath) else { return nil }
        var entries: [RegistryEntry] = []
        try Self.forEachLine(of: file, registryPath) { json in
            guard let entity = json["entity"]?.string.flatMap({ RegistryEntity(rawValue: $0) }),
                let code = json["code"]?.string, let fields = json["fields"]?.object
            else { return false }
            entries.append(
                RegistryEntry(
                    key: RegistryKey(entity: entity, code: code),
                    fields: Dictionary(fields.map { ($0.0, FieldValue($0.1)) }, uniquingKeysWith: { first, _ in first })
                ))
            return true
        }
        return (entries, file.version)
    }

    public func write(_ state: OutageState) throws(OutageFault) {
        try write(episodes: state.episodes, timers: state.timers)
        try write(windows: state.windows)
    }

    /// Open alerts, and the reds that wait for their repeat.
    public func write(episodes: [Episode], timers: [Timer]) throws(OutageFault) {
        var writer = JSONWriter()
        for episode in episodes {
            writer.beginObject()
            writer.name("episode")
            episode.write(to: &writer)
            writer.endObject()
            writer.endLine()
        }
        for timer in timers {
            writer.beginObject()
            writer.member("timer", timer.kind)
            writer.member("subject", timer.subject)
            writer.member("due", timer.due)
            writer.member("payload", timer.payload)
            writer.endObject()
            writer.endLine()
        }
        try Self.write(writer.bytes, kind: "state", version: 0, to: statePath)
    }

    /// With all windows full it takes seconds and tens of megabytes; any thread, one at a time.
    public func write(windows: [Identifier: OutageState.Window]) throws(OutageFault) {
        var writer = JSONWriter()
        for (patient, window) in windows {
            writer.beginObject()
            writer.member("patient", patient.description)
            writer.name("window")
            window.write(to: &writer)
            writer.endObject()
            writer.endLine()
        }
        try Self.write(writer.bytes, kind: "windows", version: 0, to: windowsPath)
    }

    /// Nil where nothing was written yet.
    public func readState() throws(OutageFault) -> OutageState? {
        let episodes = try Self.read(kind: "state", statePath)
        let windows = try Self.read(kind: "windows", windowsPath)
        guard episodes != nil || windows != nil else { return nil }
        var state = OutageState()
        if let episodes { try Self.read(episodes, statePath, into: &state) }
        if let windows { try Self.read(windows, windowsPath, into: &state) }
        return state
    }

    private static func read(_ file: File, _ path: String, into state: inout OutageState) throws(OutageFault) {
        try forEachLine(of: file, path) { json in
            if let episode = json["episode"].flatMap({ Episode($0) }) {
                state.episodes.append(episode)
            } else if let patient = json["patient"]?.string.flatMap({ Identifier($0) }),
                let window = json["window"].flatMap({ OutageState.Window($0) })
            {
                state.windows[patient] = window
            } else if let kind = json["timer"]?.string, let subject = json["subject"]?.string,
                let due = json["due"]?.instant, let payload = json["payload"]?.string
            {
                state.timers.append(Timer(kind: kind, subject: subject, due: due, payload: payload))
            } else {
                return false
            }
            return true
        }
    }

    // MARK: - Files

    private struct File {
        var bytes: [UInt8]
        var bodyStart: Int
        var version: Int64
    }

    private static func write(
        _ body: [UInt8], kind: String, version: Int64, to path: String
    ) throws(OutageFault) {
        var header = JSONWriter()
        header.beginObject()
        header.member("homeward", kind)
        header.member("format", format)
        header.member("version", version)
        header.member("sha256", hexadecimal(sha256(body)))
        header.endObject()
        header.endLine()
        try DurableFile.replace(path, with: header.bytes + body)
    }

    private static func read(kind: String, _ path: String) throws(OutageFault) -> File? {
        guard let bytes = try DurableFile.read(path) else { return nil }
        let name = DurableFile.name(of: path)
        guard let end = bytes.firstIndex(of: 0x0A),
            let header = try? JSONReader.value(bytes.span.extracting(0..<end)),
            header["homeward"]?.string == kind, let version = header["version"]?.integer
        else { throw OutageFault(.damaged, "\(name) has no readable first line") }
        guard header["format"]?.integer == format else {
            throw OutageFault(.otherFormat, "\(name) was written by another version")
        }
        guard header["sha256"]?.string == hexadecimal(sha256(bytes.span.extracting((end + 1)..<bytes.count))) else {
            throw OutageFault(.damaged, "\(name) has a wrong checksum")
        }
        return File(bytes: bytes, bodyStart: end + 1, version: version)
    }

    private static func forEachLine(
        of file: File, _ path: String, _ body: (JSONValue) -> Bool
    ) throws(OutageFault) {
        var start = file.bodyStart
        while start < file.bytes.count, let end = file.bytes[start...].firstIndex(of: 0x0A) {
            guard let json = try? JSONReader.value(file.bytes.span.extracting(start..<end), maximumDepth: 64),
                body(json)
            else { throw OutageFault(.damaged, "\(DurableFile.name(of: path)) has a line that can't be understood") }
            start = end + 1
        }
        guard start == file.bytes.count else {
            throw OutageFault(.damaged, "\(DurableFile.name(of: path)) ends within a line")
        }
    }
}
