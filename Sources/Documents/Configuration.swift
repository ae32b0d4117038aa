public import Clinical
public import Formats
public import Foundation
public import Registry

/// `homeward.yaml` (outside contract, section 5), checked, with defaults and the environment's overrides applied.
///
/// All paths are absolute or relative to the working directory of whoever loaded it; secrets are read already and never
/// appear in a description or a mirror.
public struct Configuration: Sendable {
    public var broker: Broker
    public var database: Database
    public var sites: Sites
    /// A directory of protocol packs; nil means the built-in ones.
    public var protocolsDirectory: String?
    public var spool: Spool
    public var deadlines: Deadlines
    public var http: HTTP
    /// Where `/metrics`, `/healthz` and `/readyz` are; equal to `http`'s address unless set apart.
    public var metrics: Metrics
    public var heartbeatURL: String?
    /// Nil: everything is kept.
    public var retention: Retention?
    public var delivery: Delivery
    public var log: Log
    /// What is unusual but refuses nothing.
    public var notices: [DocumentProblem] = []

    public struct Broker: Sendable {
        public enum ProtocolVersion: String, Sendable {
            case mqtt5 = "5"
            case mqtt311 = "3.1.1"
        }

        public var host: String
        public var port: UInt16
        public var version: ProtocolVersion
        /// Fixed: the broker keeps our queue under it.
        public var clientID: String
        public var username: String?
        public var password: String?
        /// Nil means plain text.
        public var tls: ClientTLS?
        /// Allows plain text to an address that is not loopback, of the broker and of the database.
        public var isInsecureAllowed: Bool
    }

    /// PEM files, there when the configuration was loaded; to be read again at each connect.
    public struct ClientTLS: Hashable, Sendable {
        /// Nil: the system's certificate authorities.
        public var caFile: String?
        /// Both or neither.
        public var certificateFile: String?
        public var keyFile: String?
        /// Further certificates whose expiry is watched: the broker's (`broker.pem`), devices', revoked ones' lists.
        public var watchedDirectory: String?
    }

    /// What `homeward retention run` takes out of the database, and where it archives it.
    public struct Retention: Hashable, Sendable {
        /// Whole months that stay, before the present one.
        public var months: Int
        /// A directory.
        public var archive: String
    }

    public struct Database: Sendable {
        /// Any libpq URI or conninfo, without a password.
        public var url: String
        public var password: String?
    }

    /// The sites that this instance serves.
    public struct Sites: Hashable, Sendable {
        /// `["*"]`.
        public var isAll: Bool
        /// Empty where `isAll`.
        public var codes: [Identifier]
    }

    public struct Spool: Hashable, Sendable {
        public var directory: String
        /// Bytes; 0 switches the spool off, and with it everything that goes on while PostgreSQL is away.
        public var quota: Int64
        /// 32 bytes, or 64 hexadecimal digits: the reports on disk are then encrypted. Nil: as they came.
        public var keyFile: String?
    }

    public struct Deadlines: Hashable, Sendable {
        /// Until a report is durable; below the broker's keepalive.
        public var durable: Interval
        public var database: Interval
        public var delivery: Interval
    }

    public struct HTTP: Hashable, Sendable {
        public var host: String
        /// 0 takes a free one.
        public var port: UInt16
        /// What stands in deliveries' links, without a slash at its end.
        public var publicURL: String
        /// Nil means plain text.
        public var tls: ServerTLS?
    }

    public struct ServerTLS: Hashable, Sendable {
        public var certificateFile: String
        public var keyFile: String
    }

    public struct Metrics: Hashable, Sendable {
        public var host: String
        public var port: UInt16
    }

    public struct Delivery: Sendable {
        public var webhook: Webhook?
        public var sms: SMS?
        public var smtp: SMTP?
        /// Nil: alerts are published for no ward display.
        public var mqtt: WardDisplays?
        /// The built-in ones unless a directory is named.
        public var templates: MessageTemplates
    }

    public struct Webhook: Sendable {
        /// The key of `Homeward-Signature`; nil signs nothing.
        public var secret: [UInt8]?
        /// Nil: the system's certificate authorities.
        public var caFile: String?
    }

    /// Any HTTP gateway.
    public struct SMS: Sendable {
        public var url: String
        /// With `{to}` and `{text}` where the number and the message go.
        public var body: GatewayBody
        /// What `Authorization` says; nil sends none.
        public var authorization: String?
        /// Nil: the system's certificate authorities.
        public var caFile: String?
    }

    public struct SMTP: Sendable {
        public enum Security: String, CaseIterable, Sendable {
            case none
            case starttls
            case implicit
        }

        public var host: String
        public var port: UInt16
        public var from: String
        public var username: String?
        public var password: String?
        public var security: Security
        /// Nil: the system's certificate authorities.
        public var caFile: String?
    }

    /// The sites whose clinical alerts are published under `homeward/v1/{site}/alerts`.
    public struct WardDisplays: Hashable, Sendable {
        public var sites: Sites
    }

    public struct Log: Hashable, Sendable {
        public enum Level: String, CaseIterable, Sendable {
            case trace, debug, info, notice, warning, error, critical
        }

        public enum Format: String, CaseIterable, Sendable {
            case text, json
        }

        public var level: Level
        public var format: Format
    }

    /// The channels that this configuration can serve; a webhook needs nothing of it.
    public var servedChannels: ServedChannels {
        let displays: ServedChannels.Displays =
            switch delivery.mqtt?.sites {
            case nil: .none
            case let sites? where sites.isAll: .all
            case let sites?: .of(Set(sites.codes))
            }
        return ServedChannels(email: delivery.smtp != nil, sms: delivery.sms != nil, displays: displays)
    }

    /// The broker's keepalive, which the wait for `durable` must not outlast (design, "Own the mosquitto loop").
    public static let brokerKeepalive = Interval.seconds(20)

    /// Reads the file at `path`, with `environment`'s `HOMEWARD_SECTION_KEY` over it, and the secrets that it names.
    ///
    /// - Throws: every problem of the file, of the environment and of the secrets, in line order.
    public static func load(
        path: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(DocumentProblems) -> Configuration {
        let problems = ProblemList()
        let document = YAMLDocument.read(path: path, problems)
        guard problems.refusals.isEmpty else { throw DocumentProblems(problems.refusals) }
        return try read(document, path: path, environment: environment, problems)
    }

    /// The same from bytes that stand for the file at `path`, whose directory relative paths start from.
    static func parse(
        _ bytes: [UInt8], path: String, environment: [String: String]
    ) throws(DocumentProblems) -> Configuration {
        let problems = ProblemList()
        let document = YAMLDocument.parse(bytes, file: path, problems)
        guard problems.refusals.isEmpty else { throw DocumentProblems(problems.refusals) }
        return try read(document, path: path, environment: environment, problems)
    }

    private static func read(
        _ document: DocumentNode?, path: String, environment: [String: String], _ problems: ProblemList
    ) throws(DocumentProblems) -> Configuration {
        let empty = DocumentNode(file: path, line: 1, content: .mapping([]))
        var root = document.map { $0.isNull ? empty : $0 } ?? empty
        root = ConfigurationEnvironment.overlay(environment, on: root, problems)
        let files = ConfigurationFiles(path: path, environment: environment)
        let value = ConfigurationDocument(files: files).value.read(root, DocumentContext(problems))
        guard problems.refusals.isEmpty, var configuration = value else {
            throw DocumentProblems(problems.refusals)
        }
        configuration.notices = problems.notices
        return configuration
    }
}

// MARK: - Secrets stay out of logs

extension Configuration: CustomStringConvertible, CustomReflectable {
    public var description: String { "\(broker), \(database), sites \(sites.isAll ? "*" : "\(sites.codes)")" }
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

extension Configuration.Broker: CustomStringConvertible, CustomReflectable {
    public var description: String { "broker \(clientID)@\(host):\(port)\(tls == nil ? "" : " with TLS")" }
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

extension Configuration.Database: CustomStringConvertible, CustomReflectable {
    public var description: String { "database \(url)" }
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

extension Configuration.Delivery: CustomStringConvertible, CustomReflectable {
    public var description: String {
        let channels = [
            webhook.map { "\($0)" }, sms.map { "\($0)" }, smtp.map { "\($0)" }, mqtt.map { _ in "mqtt" },
        ]
        return channels.compactMap(\.self).joined(separator: ", ")
    }
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

extension Configuration.Webhook: CustomStringConvertible, CustomReflectable {
    public var description: String { secret == nil ? "webhook" : "signed webhook" }
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

extension Configuration.SMS: CustomStringConvertible, CustomReflectable {
    /// Only the host: gateways take their keys in the URL or the body.
    public var description: String { "sms by \(WebAddress(url)?.host ?? "")" }
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

extension Configuration.SMTP: CustomStringConvertible, CustomReflectable {
    public var description: String { "smtp \(host):\(port)" }
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}
