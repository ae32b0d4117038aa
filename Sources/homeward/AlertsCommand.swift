import ArgumentParser
import HomewardDaemon

struct AlertsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alerts", abstract: "The worklist at a terminal.",
        subcommands: [List.self, Show.self, Acknowledge.self, Take.self, Shelve.self, Resolve.self])

    @OptionGroup var config: ConfigurationOption

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists alerts, reds first.")

        @ParentCommand var parent: AlertsCommand

        @Flag(help: "Resolved ones too.")
        var all = false

        @Flag(help: "Only those that ended by themselves and that nobody has seen; `ack` says that they are seen.")
        var recovered = false

        @Option(help: ArgumentHelp("Only this site's.", valueName: "CODE"))
        var site: String?

        @Option(help: ArgumentHelp("Only this patient's.", valueName: "CODE"))
        var patient: String?

        @Option(help: ArgumentHelp("No more than so many.", valueName: "NUMBER"))
        var limit: Int?

        @Flag(help: "Goes on with what is new or changes, until it is interrupted.")
        var follow = false

        @Flag(help: "One JSON object a line.")
        var json = false

        func validate() throws {
            if follow, all || limit != nil {
                throw ValidationError("--follow: not together with --all or --limit")
            }
        }

        func run() throws {
            try Alerts(configurationPath: parent.config.path)
                .list(
                    all: all, recovered: recovered, site: site, patient: patient, limit: limit, follow: follow,
                    json: json
                ).check()
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Explains one alert: what was measured, against which limit, what happened, who was told.")

        @ParentCommand var parent: AlertsCommand

        @Flag(help: "As one JSON object.")
        var json = false

        @Argument(help: ArgumentHelp("The alert's id, or its beginning.", valueName: "ID"))
        var id: String

        func run() throws {
            try Alerts(configurationPath: parent.config.path).show(id, json: json).check()
        }
    }
}
