import ArgumentParser
import HomewardDaemon

/// The command line: it parses arguments and calls the daemon's room, which does the work.
@main
struct Homeward: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "homeward",
        abstract: "Takes in home readings over MQTT, keeps them in PostgreSQL and raises alerts to care managers.",
        discussion: """
            Not an emergency service. Not for patients until a clinical safety officer has signed for it.

            Exit codes are sysexits: 0, 64 usage, 65 bad data, 69 a server is unavailable, 78 bad configuration.
            """,
        version: HomewardVersion.current,
        subcommands: [
            ServeCommand.self, CheckCommand.self, MigrateCommand.self, EnrolCommand.self, SimulateCommand.self,
            ReplayCommand.self, AlertsCommand.self, TriageCommand.self, ReadingsCommand.self, ReportCommand.self,
            RouteCommand.self, DoctorCommand.self, StatusCommand.self, TimersCommand.self, UserCommand.self,
            AuditCommand.self, RetentionCommand.self,
        ])
}

/// Every subcommand that reads the configuration names its file.
struct ConfigurationOption: ParsableArguments {
    @Option(name: .customLong("config"), help: ArgumentHelp("The configuration file.", valueName: "FILE"))
    var path: String
}

extension ExitStatus {
    /// Ends the process with this status; does nothing for 0.
    func check() throws {
        if self != .success { throw ExitCode(rawValue) }
    }
}
