public import ArgumentParser
public import HomewardDaemon

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Figures over a time, from the database.",
        subcommands: [BurdenCommand.self])
}

extension BurdenReport.Format: ExpressibleByArgument {}

struct BurdenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "burden",
        abstract: "What alerts cost those who answer them.",
        discussion: """
            Alerts per patient-week, per rule and per care manager; how many were acknowledged, resolved with a note of \
            what was done, or cleared by themselves; how long that took (median and 95th percentile); and flood minutes, \
            in which a care team had ten or more alerts within ten minutes.
            """)

    @OptionGroup var config: ConfigurationOption

    @Option(
        help: ArgumentHelp("From this day on (YYYY-MM-DD, where the site is), or from this time.", valueName: "DATE"))
    var since: String

    @Option(help: ArgumentHelp("Up to the beginning of this day, or to this time.", valueName: "DATE"))
    var until: String

    @Option(help: ArgumentHelp("Only this site's alerts.", valueName: "CODE"))
    var site: String?

    @Option(help: "text, csv or json.")
    var format = BurdenReport.Format.text

    @Flag(help: "The same as --format json.")
    var json = false

    func run() throws {
        try BurdenReport(configurationPath: config.path)
            .run(since: since, until: until, site: site, format: json ? .json : format).check()
    }
}
