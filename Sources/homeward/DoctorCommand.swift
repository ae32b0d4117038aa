import ArgumentParser
import Clinical
import Documents
import HomewardDaemon

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Pushes one synthetic reading end to end and proves that an alert came out.",
        discussion: """
            Looks at the configuration, its files, the spool, the clock, the database and the broker, at who would be told \
            in the coming 7 days, and then sends a reading of a reserved device that is no patient's, and waits for its \
            alert. After a success heartbeat_url is called. Where it fails, everybody of the technical route is told by \
            every channel, and the daemon is not ready.

            Exit codes: 0 all is well; 65 an alert would reach nobody some time in the coming 7 days; 69 a server is \
            unavailable or no alert came out; 78 bad configuration.
            """)

    @OptionGroup var config: ConfigurationOption

    @Option(help: ArgumentHelp("How long the alert may take, such as 30s.", valueName: "TIME"))
    var within = "30s"

    @Flag(help: "One JSON object a line.")
    var json = false

    func run() async throws {
        guard let limit = Interval(written: within), limit >= .seconds(1), limit <= .hours(1) else {
            throw ValidationError("--within: a length of time from 1s to 1h, such as 30s")
        }
        try await Doctor(configurationPath: config.path).run(within: limit, json: json).check()
    }
}
