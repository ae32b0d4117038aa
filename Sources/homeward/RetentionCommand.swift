import ArgumentParser
import HomewardDaemon

struct RetentionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retention", abstract: "How long readings stay in the database.",
        subcommands: [RetentionRunCommand.self])
}

struct RetentionRunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Archives what is older than retention.months, then takes it out of the database.",
        discussion: """
            Month by month, each table's partition is written to a CSV file in retention.archive, the file is read back and \
            compared with the table row by row, and then the partition is dropped; keys of reports that old are forgotten. \
            Alerts, their history, the registry and the audit stay. For the role that owns the schema, as `migrate` is: the \
            daemon's may not drop anything. Without `retention` in the configuration it does nothing.
            """)

    @OptionGroup var config: ConfigurationOption

    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    func run() throws {
        try RetentionRun(configurationPath: config.path).run(dryRun: dryRun).check()
    }
}
