import Alerting
import CLinux
public import Clinical
import Delivery
import Documents
import Formats
import Foundation
import Glibc
import Ingestion
import Logging
import MQTTClient
import PostgresStore
import Registry
import RingBuffer
import Synchronization
import WebApp

/// `homeward doctor`: is everything there that an alert needs, and does one come out?
public struct Doctor: Sendable {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// Prints each finding as soon as it is there. 78 for what is wrong in the configuration, the files or the schema, 69
    /// for a server that is away and for a reading that became no alert, 65 for a hole in the coverage; the first of
    /// these that applies.
    ///
    /// - Parameter limit: from the publication of the reading until its alert has arrived.
    public func run(within limit: Interval, json: Bool) async throws -> ExitStatus {
        let loaded: LoadedConfiguration
        do throws(DocumentProblems) {
            loaded = try LoadedConfiguration(path: configurationPath)
        } catch {
            StandardError.write("\(error)\n")
            return .badConfiguration
        }
        loaded.startLogging()
        // A peer that closes is an error to handle, not a signal to die of.
        signal(SIGPIPE, SIG_IGN)
        let report = DoctorReport(json: json)
        report.add(.configuration, .ok, "\(loaded.path), \(loaded.notices.count) notices")
        for notice in loaded.notices { report.add(.configuration, .warning, notice.description) }
        let isGood = await Self.onThread { DoctorChecks(loaded: loaded, report: report).run() }
        guard let registry = isGood else { return report.status }
        if let holder = await Self.onThread({ Self.otherHolder(loaded) }) {
            // Its alert would be posted to that machine.
            report.add(.selfTest, .skipped, "this instance stands by for \(holder), where it is tested")
            return report.status
        }
        let arrivals = SelfTestArrivals()
        do {
            return try await LoopbackSink.serving(
                logger: Logger(label: "self-test", factory: { _ in SwiftLogNoOpLogHandler() }),
                take: { arrivals.add(headers: $0.headers, body: $0.body) }
            ) { sink in
                await Self.onThread {
                    SelfTestRun(
                        loaded: loaded, registry: registry, sink: sink, limit: limit, arrivals: arrivals,
                        report: report
                    ).run()
                    return report.status
                }
            }
        } catch {
            report.add(.selfTest, .failed(.unavailable), "no port to wait for the alert: \(error)")
            return report.status
        }
    }

    /// The machine that holds this instance's lease, where that is another one.
    private static func otherHolder(_ loaded: LoadedConfiguration) -> String? {
        guard let instance = LeaseFile.instance(in: loaded.configuration.spool.directory) else { return nil }
        return try? PostgresLease.otherHolder(loaded.database, shard: loaded.broker.clientID, instance: instance)
    }

    /// Everything here blocks; Swift's own threads must not.
    private static func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            _ = StageThread.start(name: "doctor") { continuation.resume(returning: body()) }
        }
    }
}

/// What was looked at and what was found. Any thread.
final class DoctorReport: Sendable {
    enum Subject: String {
        case configuration, certificates, spool, clock, database, broker, coverage
        case selfTest = "self-test"
        case audit, heartbeat
    }

    enum State: Hashable {
        case ok
        /// To be known; it does no harm to any alert.
        case warning
        case failed(ExitStatus)
        /// Not looked at, because of something before it.
        case skipped

        var word: String {
            switch self {
            case .ok: "ok"
            case .warning: "warning"
            case .failed: "failed"
            case .skipped: "skipped"
            }
        }
    }

    private let json: Bool
    private let failures = Mutex<Set<ExitStatus>>([])

    init(json: Bool) { self.json = json }

    /// `ok       broker         connected to …`, or `{"check":"broker","state":"ok","detail":"…"}`.
    func add(_ subject: Subject, _ state: State, _ detail: String) {
        if case .failed(let status) = state { failures.withLock { _ = $0.insert(status) } }
        var output = BufferedOutput()
        if json {
            var writer = JSONWriter()
            writer.beginObject()
            for (name, text) in [("check", subject.rawValue), ("state", state.word), ("detail", detail)] {
                writer.name(name)
                writer.value(text)
            }
            writer.endObject()
            output.write(writer.text)
        } else {
            func padded(_ text: String, _ width: Int) -> String {
                text + String(repeating: " ", count: max(1, width - text.count))
            }
            output.write(
                padded(state.word, 9) + padded(subject.rawValue, 15) + StandardErrorLog.escaped(detail))
        }
        output.flush()
    }

    var status: ExitStatus {
        let failures = failures.withLock { $0 }
        return [.badConfiguration, .unavailable, .software, .badData].first(where: failures.contains) ?? .success
    }
}
