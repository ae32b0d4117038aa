import ArgumentParser
import Clinical
import Documents
import HomewardDaemon

/// What the commands that act on an alert have in common.
struct AlertActionOptions: ParsableArguments {
    @Option(name: .customLong("as"), help: ArgumentHelp("On whose behalf: a care manager.", valueName: "CODE"))
    var careManager: String?

    @Option(help: ArgumentHelp("What is to be remembered about it.", valueName: "TEXT"))
    var note: String?

    @Option(
        help: ArgumentHelp(
            "The last event that you saw (`revision` of show --json): refused if it has spoken again since.",
            valueName: "REVISION"))
    var seen: Int32?

    @Flag(help: "The alert afterwards, as one JSON object.")
    var json = false

    @Argument(help: ArgumentHelp("The alert's id, or its beginning.", valueName: "ID"))
    var id: String

    func act(_ verb: AlertIntent.Verb, _ config: ConfigurationOption) throws {
        let intent = AlertIntent(verb, careManager: careManager, note: note, seen: seen, json: json)
        try Alerts(configurationPath: config.path).act(intent, on: id).check()
    }
}

extension AlertsCommand {
    struct Acknowledge: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ack", abstract: "Acknowledges an alert: somebody has seen it, escalation stops.")

        @ParentCommand var parent: AlertsCommand
        @OptionGroup var options: AlertActionOptions

        func run() throws { try options.act(.acknowledge, parent.config) }
    }

    struct Take: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "\"I have it\": acknowledges an alert and says who deals with it; --note hands it over.")

        @ParentCommand var parent: AlertsCommand
        @OptionGroup var options: AlertActionOptions

        func run() throws { try options.act(.take, parent.config) }
    }

    struct Shelve: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Puts an acknowledged alert out of the way for a time, with a --note.",
            discussion: "A red for at most 4 h, any other for 72 h. It comes back at the end, or when it worsens.")

        @ParentCommand var parent: AlertsCommand
        @OptionGroup var options: AlertActionOptions

        @Option(name: .customLong("for"), help: ArgumentHelp("For how long, such as 30m.", valueName: "TIME"))
        var span = "4h"

        @Flag(help: "Takes it back before its time.")
        var end = false

        func run() throws {
            guard let interval = Interval(written: span) else {
                throw ValidationError("--for: a length of time such as 30m or 4h")
            }
            try options.act(end ? .unshelve : .shelve(interval), parent.config)
        }
    }

    struct Resolve: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends an alert. A red needs a --note of what was done.")

        @ParentCommand var parent: AlertsCommand
        @OptionGroup var options: AlertActionOptions

        func run() throws { try options.act(.resolve, parent.config) }
    }
}
