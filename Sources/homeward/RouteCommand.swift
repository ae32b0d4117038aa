import ArgumentParser
import HomewardDaemon

struct RouteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "route", abstract: "Who is told of an alert.", subcommands: [Test.self])

    @Option(name: .customLong("config"), help: ArgumentHelp("The configuration file.", valueName: "FILE"))
    var config: String?

    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints who would be told of a patient's alert, when and how, if nobody answered.",
            discussion: "Sends nothing. Addresses are masked. Exit 65 when nobody would be told.")

        @ParentCommand var parent: RouteCommand

        @Option(name: .customLong("config"), help: ArgumentHelp("The configuration file.", valueName: "FILE"))
        var config: String?

        @Option(help: ArgumentHelp("Whose alert.", valueName: "CODE"))
        var patient: String

        @Option(
            help: ArgumentHelp(
                "When it is raised: 2026-12-24T18:00 on the site's clock, or 2026-12-24T18:00:00Z.", valueName: "TIME"))
        var at: String

        @Option(help: ArgumentHelp("red or amber.", valueName: "SEVERITY"))
        var severity: String

        @Option(name: .customLong("class"), help: ArgumentHelp("clinical or technical.", valueName: "CLASS"))
        var alertClass = "clinical"

        @Flag(help: "One JSON object.")
        var json = false

        func run() throws {
            // Before `test` or after it.
            guard let path = config ?? parent.config else { throw ValidationError("Missing option '--config <FILE>'") }
            try RouteTest(configurationPath: path).run(
                .init(patient: patient, at: at, severity: severity, alertClass: alertClass), json: json
            ).check()
        }
    }
}
