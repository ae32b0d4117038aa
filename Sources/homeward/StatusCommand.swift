import ArgumentParser
import HomewardDaemon

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "How the daemon on this machine does, and how long its spool would last.",
        discussion: "Asks its /readyz and /metrics. Exit 0 when it is ready, 69 when it is not or does not answer.")

    @OptionGroup var config: ConfigurationOption

    @Flag(help: "Every number of the metrics page that has no labels, as JSON.")
    var json = false

    func run() throws {
        try StatusPage(configurationPath: config.path).run(json: json).check()
    }
}
