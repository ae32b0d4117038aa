import ArgumentParser
import HomewardDaemon

struct ReadingsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "readings", abstract: "What is stored of a patient, and what of it was entered in error.",
        subcommands: [List.self, Correct.self])

    @OptionGroup var config: ConfigurationOption

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists a patient's readings, each with its report and its place in it.")

        @ParentCommand var parent: ReadingsCommand

        @Option(help: ArgumentHelp("Whose.", valueName: "CODE"))
        var patient: String

        @Option(help: ArgumentHelp("Taken from this day (YYYY-MM-DD, UTC) or time on.", valueName: "DATE"))
        var since: String

        @Flag(help: "One JSON object a line.")
        var json = false

        func run() throws {
            try Readings(configurationPath: parent.config.path).list(patient: patient, since: since, json: json)
                .check()
        }
    }

    struct Correct: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Marks a reading entered in error, and judges again the alerts that it caused.",
            discussion: """
                The reading stays, and is looked at by no rule any more. An amber that nothing else caused ends; a red \
                stays open, with what was said of it, until a person resolves it. It can't be taken back.
                """)

        @ParentCommand var parent: ReadingsCommand

        @Option(help: ArgumentHelp("The site of the report's topic.", valueName: "CODE"))
        var site: String

        @Option(help: ArgumentHelp("The device of the report's topic.", valueName: "CODE"))
        var device: String

        @Option(help: ArgumentHelp("The report's id.", valueName: "ID"))
        var report: String

        @Option(help: ArgumentHelp("Which of its readings, counted from 0 as in a receipt.", valueName: "N"))
        var reading: Int

        @Option(help: ArgumentHelp("The care manager whose word it is.", valueName: "CODE"))
        var by: String

        @Option(help: ArgumentHelp("Why, for whoever reads the alert.", valueName: "TEXT"))
        var reason: String

        @Flag(help: "One JSON object.")
        var json = false

        func run() throws {
            try Readings(configurationPath: parent.config.path).correct(
                site: site, device: device, report: report, reading: reading, by: by, reason: reason, json: json
            ).check()
        }
    }
}
