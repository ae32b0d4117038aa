public import ArgumentParser
import Clinical
import Formats
import Foundation
import HomewardDaemon
public import Simulation

struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Publishes as home readers do, waits for receipts, prints what came of them.",
        discussion: """
            An invented ward: its readers and patients must be enrolled, so write its registry first with \
            --write-registry and enrol it. Or recorded data: --from FILE.csv with a --column for each kind.
            """)

    @OptionGroup var config: ConfigurationOption

    @Option(help: "Patients of the invented ward.")
    var patients = 100

    @Option(help: "What the patients go through.")
    var scenario = Scenario.mixed

    @Option(help: "The same seed gives the same ward.")
    var seed: UInt64 = 1

    @Option(help: "Days up to now that the readers have to tell of.")
    var days = 7

    @Option(help: "The code of the readers' site.")
    var site = "ward"

    @Option(help: ArgumentHelp("Write the ward's registry and end.", valueName: "FILE"))
    var writeRegistry: String?

    @Option(help: "The key workers' webhook in that registry.")
    var webhook: String?

    @Option(help: "Reports a second, all readers together.")
    var rate: Double?

    @Option(help: "As far apart as they were, divided by this; 1 is real time.")
    var speed: Double?

    @Option(help: "Reports to send at most.")
    var count: Int?

    @Option(help: ArgumentHelp("How long to send new reports at most.", valueName: "SECONDS"))
    var duration: Int?

    @Option(help: "Connections to the broker.")
    var connections: Int?

    @Option(name: .customLong("from"), help: ArgumentHelp("Recorded data to play.", valueName: "FILE.csv"))
    var recording: String?

    @Option(
        help: ArgumentHelp("kind=KIND,unit=UNIT,value=COLUMN, for each kind.", valueName: "MAPPING"),
        transform: { try RecordedColumn(argument: $0) })
    var column: [RecordedColumn] = []

    @Option(help: "The column of the times.")
    var timeColumn = "time"

    @Option(help: "The zone of times that don't say their own.")
    var timezone = "UTC"

    @Option(help: "The reader's code.")
    var device: String?

    @Option(help: "The column of the reader's code.")
    var deviceColumn: String?

    @Option(help: "What stands before the text of --device-column.")
    var devicePrefix = ""

    @Option(help: "Move the recorded times so that the last one is then: now, or an RFC 3339 time.")
    var shiftTo: ShiftTarget?

    @Flag(help: "Print the summary as JSON.")
    var json = false

    func validate() throws {
        for (value, name) in [(rate, "--rate"), (speed, "--speed")] where (value ?? 1) <= 0 || value?.isFinite == false
        {
            throw ValidationError("\(name) must be above 0")
        }
        guard rate == nil || speed == nil else { throw ValidationError("--rate and --speed exclude each other") }
        guard (1...1_000_000).contains(patients) else { throw ValidationError("--patients takes 1 to 1000000") }
        guard (1...365).contains(days) else { throw ValidationError("--days takes 1 to 365") }
        guard (connections ?? 1) > 0, (count ?? 1) > 0 else {
            throw ValidationError("--connections and --count must be above 0")
        }
        guard (1...31_536_000).contains(duration ?? 1) else { throw ValidationError("--duration takes 1 to 31536000") }
        guard Identifier(site) != nil else { throw ValidationError("--site: \(site) is no code") }
        guard TimeZone(identifier: timezone) != nil else { throw ValidationError("--timezone: no such zone") }
        if recording != nil {
            guard !column.isEmpty else { throw ValidationError("--from needs a --column for each kind") }
            guard device != nil || deviceColumn != nil else {
                throw ValidationError("--from needs --device or --device-column")
            }
        }
    }

    func run() throws {
        let ward = WardOptions(patients: patients, scenario: scenario, seed: seed, days: days)
        if let path = writeRegistry {
            return try Simulate.writeRegistry(ward, site: site, webhook: webhook, to: path).check()
        }
        var options = SimulationOptions(source: source(or: ward), site: site, pace: pace)
        options.count = count
        options.duration = duration.map { .seconds(Int64($0)) }
        options.connections = connections
        try Simulate(configurationPath: config.path, json: json).run(options).check()
    }

    private var pace: SimulationPace {
        if let rate { .rate(rate) } else if let speed { .speed(speed) } else { .onePass }
    }

    private func source(or ward: WardOptions) -> SimulationOptions.Source {
        guard let recording else { return .ward(ward) }
        let readers: Recording.Device =
            deviceColumn.map { .column($0, prefix: devicePrefix) } ?? .code(device ?? "")
        return .recording(
            Recording(
                path: recording, columns: column, timeColumn: timeColumn, device: readers,
                timeZone: TimeZone(identifier: timezone) ?? .gmt,
                lastAt: shiftTo?.instant))
    }
}

extension Scenario: ExpressibleByArgument {}

/// `now`, or a time.
struct ShiftTarget: ExpressibleByArgument {
    let instant: Instant

    init?(argument: String) {
        if argument == "now" {
            let now = (Date().timeIntervalSince1970 * 1_000_000).rounded()
            instant = Instant(microseconds: Int64(exactly: now) ?? 0)
        } else if let time = RFC3339.parse(argument) {
            instant = time
        } else {
            return nil
        }
    }
}
