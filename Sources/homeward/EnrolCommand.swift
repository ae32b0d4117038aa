import ArgumentParser
import HomewardDaemon

struct EnrolCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enrol", abstract: "Loads the registry from YAML, all or nothing.",
        discussion: """
            Adds and updates by code; a list in an entry replaces that list; absence deletes nothing. In force for
            every report received after this command returned.
            """)

    @OptionGroup var config: ConfigurationOption

    @Flag(help: "Say what would change and change nothing.")
    var dryRun = false

    @Flag(help: "Overwrite fields that were changed elsewhere since this file's last load.")
    var replace = false

    @Flag(help: "Take patients whose alerts would reach nobody; they stay grey.")
    var uncovered = false

    @Flag(help: "Print the changes as JSON.")
    var json = false

    @Argument(help: ArgumentHelp("Registry files.", valueName: "PATH"))
    var paths: [String]

    func run() throws {
        try Enrol(
            configurationPath: config.path, paths: paths, dryRun: dryRun, replace: replace, uncovered: uncovered,
            json: json
        ).run().check()
    }
}
