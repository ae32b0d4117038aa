import Documents
import Foundation
import MQTTClient
public import Simulation

/// `homeward simulate`: publishes as home readers do, waits for receipts, prints what came of them.
public struct Simulate {
    private let configurationPath: String
    private let json: Bool

    public init(configurationPath: String, json: Bool) {
        self.configurationPath = configurationPath
        self.json = json
    }

    /// 69 when the broker can't be reached, 65 when recorded data can't be read.
    public func run(_ options: SimulationOptions) -> ExitStatus {
        let loaded: LoadedConfiguration
        do throws(DocumentProblems) {
            loaded = try LoadedConfiguration(path: configurationPath)
        } catch {
            StandardError.write("\(error)\n")
            return .badConfiguration
        }
        let summary: SimulationSummary
        do throws(RecordingFault) {
            summary = try options.run(broker: loaded.broker)
        } catch {
            StandardError.write("\(error)\n")
            return .badData
        }
        var output = BufferedOutput()
        output.write(json ? summary.json : summary.text)
        output.flush()
        if summary.brokerUnavailable { StandardError.write("the broker can't be reached\n") }
        return ExitStatus(rawValue: summary.exitStatus)
    }

    /// Writes what `enrol` has to know of the invented ward.
    public static func writeRegistry(_ ward: WardOptions, site: String, webhook: String?, to path: String) -> ExitStatus
    {
        do {
            try ward.registryYAML(site: site, webhook: webhook).write(toFile: path, atomically: true, encoding: .utf8)
            return .success
        } catch {
            StandardError.write("\(path): can't be written\n")
            return .badData
        }
    }
}
