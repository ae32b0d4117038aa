import Formats
import Ingestion
import PostgresStore

/// `homeward audit verify`: the audit chain held against the tables that it seals.
public struct AuditVerification {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// 0: the chain is whole and every row is as it was sealed. 65: it is not, with a line `TABLE:BATCH: WHAT` for each
    /// fault; 64: a head is none.
    ///
    /// - Parameter heads: `NUMBER:HASH` as the heartbeat and the daily message carried them.
    public func run(heads: [String], json: Bool) throws -> ExitStatus {
        var noted: [AuditHead] = []
        for text in heads {
            guard let head = AuditHead(text) else {
                StandardError.write("--head: \(StandardErrorLog.escaped(text)) is no NUMBER:HASH\n")
                return .usage
            }
            noted.append(head)
        }
        return withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let verdict = try AuditVerifier(loaded.database).verify(heads: noted)
            var output = BufferedOutput()
            if json {
                output.write(Self.json(verdict))
            } else {
                for fault in verdict.faults { output.write("\(fault)") }
                let word = verdict.faults.isEmpty ? "ok" : "broken"
                output.write(
                    "\(word): \(verdict.batches) batches, \(verdict.rows) rows, \(verdict.unsealed) not sealed yet, head "
                        + (verdict.head?.description ?? "none"))
            }
            output.flush()
            return verdict.faults.isEmpty ? .success : .badData
        }
    }

    private static func json(_ verdict: AuditVerdict) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("ok")
        writer.value(verdict.faults.isEmpty)
        for (name, number) in [("batches", verdict.batches), ("rows", verdict.rows), ("unsealed", verdict.unsealed)] {
            writer.name(name)
            writer.value(Int(clamping: number))
        }
        writer.name("head")
        if let head = verdict.head { writer.value("\(head)") } else { writer.null() }
        writer.name("faults")
        writer.beginArray()
        for fault in verdict.faults { writer.value("\(fault)") }
        writer.endArray()
        writer.endObject()
        return writer.text
    }
}
