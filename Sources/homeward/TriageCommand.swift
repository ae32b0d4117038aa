import ArgumentParser
import HomewardDaemon

struct TriageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "triage",
        abstract: "Every patient's state, those first whom somebody should look at first.",
        discussion: """
            Red, amber, grey, paused, green. Green is earned: whatever keeps Homeward from seeing a patient makes the \
            patient grey, with its reasons.
            """)

    @OptionGroup var config: ConfigurationOption

    @Option(help: ArgumentHelp("Only this site's patients.", valueName: "CODE"))
    var site: String?

    @Flag(help: "One JSON object a line.")
    var json = false

    func run() throws {
        try TriageList(configurationPath: config.path).run(site: site, json: json).check()
    }
}
