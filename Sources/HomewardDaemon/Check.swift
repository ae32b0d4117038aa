import Documents
import Ingestion
import PostgresStore

/// `homeward check`: every problem of the configuration and of the packs, one a line; connects to nothing.
public struct Check {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    public func run() throws -> ExitStatus {
        do throws(DocumentProblems) {
            let loaded = try LoadedConfiguration(path: configurationPath)
            for notice in loaded.notices { StandardError.write("\(notice)\n") }
            return .success
        } catch {
            var output = BufferedOutput()
            for problem in error.problems { output.write(problem.description) }
            output.flush()
            return .badConfiguration
        }
    }
}

/// `homeward migrate`: brings the schema up to date, one transaction a version.
public struct Migrate {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    public func run() throws -> ExitStatus {
        withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let applied = try Migrator.migrate(loaded.database)
            var output = BufferedOutput()
            for name in applied { output.write("applied \(name)") }
            output.write("schema is at version \(Migrator.newestVersion)")
            output.flush()
            return .success
        }
    }
}

/// Runs a command that needs the configuration and the database; says what is wrong and gives the right status.
func withDatabase(
    _ path: String, _ body: (LoadedConfiguration) throws(StoreFailure) -> ExitStatus
) -> ExitStatus {
    let loaded: LoadedConfiguration
    do throws(DocumentProblems) {
        loaded = try LoadedConfiguration(path: path)
    } catch {
        StandardError.write("\(error)\n")
        return .badConfiguration
    }
    do throws(StoreFailure) {
        return try body(loaded)
    } catch {
        StandardError.write("database: \(error.message)\n")
        switch error.kind {
        case .transient, .fenced: return .unavailable
        case .poison: return .badData
        case .misconfigured: return .badConfiguration
        }
    }
}
