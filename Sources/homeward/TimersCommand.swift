import ArgumentParser
import HomewardDaemon

struct TimersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "timers", abstract: "What was due long before the database was restored, and waits for a word.",
        discussion: """
            A daemon whose database is behind what its state directory remembers starts held: it stores reports and raises \
            new reds, but timers and messages that were due over an hour ago wait.
            """,
        subcommands: [List.self, Release.self, Expire.self])

    @OptionGroup var config: ConfigurationOption

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists them, the longest due first.")

        @ParentCommand var parent: TimersCommand

        @Flag(help: "One JSON object a line.")
        var json = false

        func run() throws {
            try TimersAfterRestore(configurationPath: parent.config.path).list(json: json).check()
        }
    }

    struct Release: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "All of it happens now.")

        @ParentCommand var parent: TimersCommand

        func run() throws {
            try TimersAfterRestore(configurationPath: parent.config.path).release().check()
        }
    }

    struct Expire: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets missed readings and messages go, and sets what is due next anew.",
            discussion: """
                What belongs to an open alert is due again in a quarter of an hour: resolve the alert where it is over.
                """)

        @ParentCommand var parent: TimersCommand

        func run() throws {
            try TimersAfterRestore(configurationPath: parent.config.path).expire().check()
        }
    }
}
