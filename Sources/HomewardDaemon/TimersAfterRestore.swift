import Formats
import Foundation
import Ingestion
import PostgresStore

/// `homeward timers`: what a restored database would do late, and the word of a person on it.
public struct TimersAfterRestore {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// What waits, the longest due first.
    public func list(json: Bool) throws -> ExitStatus {
        withDatabase(configurationPath) { loaded throws(StoreFailure) in
            var output = BufferedOutput()
            defer { output.flush() }
            guard let (hold, items) = try HeldTimers(loaded.database).read() else {
                if !json { output.write("nothing waits: the database is as its instances know it") }
                return .success
            }
            if json {
                for item in items { output.write(Self.json(item)) }
                return .success
            }
            output.write(
                "restored: found at \(RFC3339.format(hold.foundAt)), the database was about \(hold.behind * 2) s behind")
            output.write("\(items.count) that were due before \(RFC3339.format(hold.before)) wait:")
            for item in items {
                let alert = item.alert.map { "  \($0)" } ?? ""
                output.write(
                    StandardErrorLog.escaped("\(RFC3339.format(item.due))  \(item.kind)  \(item.subject)\(alert)"))
            }
            return .success
        }
    }

    /// 65 where nothing waits.
    public func release() throws -> ExitStatus { end(.released) }

    /// As `release`.
    public func expire() throws -> ExitStatus { end(.expired) }

    private func end(_ end: HeldTimers.End) -> ExitStatus {
        withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let timers = HeldTimers(loaded.database)
            let count = try timers.read()?.items.count ?? 0
            guard try timers.end(end, by: NSUserName()) else {
                StandardError.write("nothing waits: the database is as its instances know it\n")
                return .badData
            }
            var output = BufferedOutput()
            output.write("\(end.rawValue): \(count)")
            output.flush()
            return .success
        }
    }

    private static func json(_ item: HeldTimers.Item) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("kind")
        writer.value(item.kind)
        writer.name("subject")
        writer.value(item.subject)
        writer.name("due")
        writer.value(item.due)
        if let alert = item.alert {
            writer.name("alert")
            writer.value(alert)
        }
        writer.endObject()
        return writer.text
    }
}
