import Clinical
import Documents
import Foundation
import Ingestion
import Logging
import MQTTClient
import PostgresStore
import Registry

/// The configuration with the packs that it names: what a command needs before it touches any server.
struct LoadedConfiguration {
    let path: String
    let configuration: Configuration
    let packs: PackLibrary
    /// Their files, which is what is approved.
    let packFiles: [PackBytes]
    let notices: [DocumentProblem]

    init(path: String) throws(DocumentProblems) {
        self.path = path
        var problems: [DocumentProblem] = []
        var configuration: Configuration?
        var packs: PackLibrary?
        do throws(DocumentProblems) {
            configuration = try Configuration.load(path: path)
        } catch {
            problems += error.problems
        }
        // Packs are checked also beside a bad configuration, so that one run tells everything.
        if let configuration {
            do throws(DocumentProblems) {
                packs = try ProtocolFiles.library(directory: configuration.protocolsDirectory)
            } catch {
                problems += error.problems
            }
        }
        guard let configuration, let packs else { throw DocumentProblems(problems) }
        self.configuration = configuration
        self.packs = packs
        packFiles = PackBytes.all(in: configuration.protocolsDirectory)
        notices = configuration.notices
    }

    var database: DatabaseConfiguration {
        DatabaseConfiguration(
            url: configuration.database.url, password: configuration.database.password,
            deadline: configuration.deadlines.database)
    }

    /// One report filter for each site, or for all. The self-test's reading comes to the instance that it is of.
    var topicFilters: [String] {
        let sites = configuration.sites.isAll ? ["+"] : configuration.sites.codes.map(\.description)
        let filters = sites.flatMap { ["homeward/v1/\($0)/+/report", "homeward/v1/\($0)/+/status"] }
        return configuration.sites.isAll
            ? filters : filters + ["homeward/v1/\(Synthetic.siteCode)/\(syntheticCode)/report"]
    }

    /// Of this instance's self-test.
    var syntheticCode: String { Synthetic.code(clientID: configuration.broker.clientID) }

    var broker: BrokerSettings {
        let broker = configuration.broker
        var settings = BrokerSettings(host: broker.host, port: broker.port, clientID: broker.clientID)
        settings.version = broker.version == .mqtt5 ? .mqtt5 : .mqtt311
        settings.username = broker.username
        settings.password = broker.password
        settings.tls = broker.tls.map {
            BrokerSettings.TLSFiles(authority: $0.caFile, certificate: $0.certificateFile, key: $0.keyFile)
        }
        return settings
    }

    /// Once per process: every logger made later writes to standard error in the configured form.
    func startLogging() {
        let level = configuration.log.level
        let format = configuration.log.format
        LoggingSystem.bootstrap { label in
            StandardErrorLog(
                label: label, level: Logger.Level(rawValue: level.rawValue) ?? .info,
                format: StandardErrorLog.Format(rawValue: format.rawValue) ?? .text)
        }
    }
}
