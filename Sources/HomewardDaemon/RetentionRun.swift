import Documents
import Foundation
import Ingestion
import PostgresStore

/// `homeward retention run`: months that are past the policy go to files, then out of the database.
public struct RetentionRun {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// 0 also when there is no policy. 78 for a role that does not own the schema, 70 for a file system that refuses.
    public func run(dryRun: Bool) throws -> ExitStatus {
        withDatabase(configurationPath) { loaded throws(StoreFailure) in
            guard let wanted = loaded.configuration.retention else {
                StandardError.write("no retention in the configuration: everything is kept\n")
                return .success
            }
            var isFolder = false
            if let kind = try? URL(filePath: wanted.archive).resourceValues(forKeys: [.isDirectoryKey]) {
                isFolder = kind.isDirectory == true
            }
            guard isFolder else {
                StandardError.write("retention.archive: \(wanted.archive) is no directory\n")
                return .badConfiguration
            }
            let policy = RetentionPolicy(months: Int32(clamping: wanted.months), archive: wanted.archive)
            do {
                var output = BufferedOutput()
                let outcome = try Retention(loaded.database, policy: policy).run(dryRun: dryRun) { part in
                    let end = part.file.map { "archived in \($0) and dropped" } ?? "would be archived and dropped"
                    output.write("\(part.partition): \(part.rows) rows \(end)")
                    output.flush()
                }
                let verb = dryRun ? "would be forgotten" : "forgotten"
                output.write(
                    "before \(outcome.before): \(outcome.parts.count) parts, \(outcome.keys) keys \(verb)")
                output.flush()
                return .success
            } catch let failure as StoreFailure {
                throw failure
            } catch {
                StandardError.write("archive: \(error)\n")
                return .software
            }
        }
    }
}
