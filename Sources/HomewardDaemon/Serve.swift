import Alerting
import Clinical
import Delivery
import Documents
import Foundation
import Ingestion
import Instruments
import Logging
import PostgresStore
import ServiceLifecycle
import WebApp

/// `homeward serve`: the daemon in the foreground.
///
/// A broker or a database that is away is waited for. It ends with 0 after SIGTERM or SIGINT, with 78 when its
/// configuration, packs or directories are bad or its port is taken, and with 70 when a stage failed, so that systemd
/// starts it again.
public struct Serve {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    public func run() async throws -> ExitStatus {
        let loaded: LoadedConfiguration
        do throws(DocumentProblems) {
            loaded = try LoadedConfiguration(path: configurationPath)
        } catch {
            StandardError.write("\(error)\n")
            return .badConfiguration
        }
        let configuration = loaded.configuration
        loaded.startLogging()
        let logger = Logger(label: "homeward")
        for notice in loaded.notices { logger.warning("\(notice.message)", metadata: ["file": "\(notice.file)"]) }
        // Other libraries' sockets: a peer that closes is an error to handle, not a signal to die of.
        signal(SIGPIPE, SIG_IGN)

        let state: StateDirectory
        do {
            state = try StateDirectory(configuration.spool)
        } catch {
            logger.critical("state directory can't be used", metadata: ["cause": "\(error)"])
            return .badConfiguration
        }
        let daemon: Daemon
        do {
            daemon = try Daemon(loaded, state: state, logger: logger)
        } catch {
            logger.critical("can't start", metadata: ["cause": "\(error)"])
            return .software
        }
        do {
            try await daemon.run()
        } catch let fault as WebServerFault {
            logger.critical("can't listen", metadata: ["cause": "\(fault)"])
            return .badConfiguration
        } catch {
            logger.critical("ended by a failure", metadata: ["cause": "\(error)"])
            return .software
        }
        logger.info("stopped")
        return .success
    }
}
