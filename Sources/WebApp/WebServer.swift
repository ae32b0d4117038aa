public import Alerting
import Glibc
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Instruments
public import Logging
import NIOCore
import NIOSSL
public import ServiceLifecycle

/// One HTTP listener: health, readiness and metrics, and the care managers' page.
///
/// It listens as long as its service runs. At shutdown it takes no new connection, lets requests under way end, and
/// after two seconds closes what is still open, so that no client can hold the daemon.
public struct WebServer: Service {
    /// Where to listen.
    public struct Address: Hashable, Sendable {
        public var host: String
        /// 0 takes a free one.
        public var port: Int
        public var tls: TLSFiles?

        public init(host: String, port: Int, tls: TLSFiles? = nil) {
            self.host = host
            self.port = port
            self.tls = tls
        }
    }

    /// PEM files: the certificate with its chain, and its key. Read when the server starts.
    public struct TLSFiles: Hashable, Sendable {
        public var certificate: String
        public var key: String

        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    let address: Address
    let responder: StatusResponder
    let logger: Logger
    var share = ConnectionShare(most: connectionLimit / 4)
    /// Told the port once it is open.
    var onListening: @Sendable (Int) async -> Void = { _ in }

    /// The servers of the contract: one, when `metrics` is nil or the same host and port as `http`; else two, and
    /// `/healthz`, `/readyz` and `/metrics` are on the second only.
    ///
    /// `readiness` is asked at each request to `/readyz` and must not wait.
    ///
    /// - Parameters:
    ///   - desk: without one nobody can sign in, and everything for people is 401.
    ///   - leads: without one there is nothing for those who lead, and no change of a plan.
    ///   - publicURL: by which people come; `https` makes the session's cookie one of TLS, also behind a proxy.
    public static func servers(
        http: Address, metrics: Address? = nil, page: MetricsPage, desk: (any CareDesk)? = nil,
        leads: (any LeadDesk)? = nil, publicURL: String = "",
        readiness: @escaping @Sendable () -> Readiness, logger: Logger
    ) -> [WebServer] {
        let people = desk.map { desk in
            PageResponder(
                desk: desk, leads: leads,
                cookie: SessionCookie(isSecure: http.tls != nil || publicURL.hasPrefix("https://")),
                origin: publicURL.split(separator: "/", maxSplits: 3).prefix(2).joined(separator: "//"), logger: logger)
        }
        func server(_ address: Address, _ pages: StatusResponder.Pages) -> WebServer {
            let responder = StatusResponder(pages: pages, metrics: page, readiness: readiness, people: people)
            return WebServer(address: address, responder: responder, logger: logger)
        }
        guard let metrics, metrics.host != http.host || metrics.port != http.port else {
            return [server(http, .everything)]
        }
        return [server(http, .people), server(metrics, .status)]
    }

    /// Serves until graceful shutdown or cancellation. Throws `WebServerFault` when it can't listen.
    public func run() async throws {
        let application = try application()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await application.run()
                } catch let error as IOError {
                    throw fault(error)
                }
            }
            group.addTask {
                try await gracefulShutdown()
                try await Task.sleep(for: Self.patience)
                logger.notice("open connections were closed")
            }
            try await group.next()
            group.cancelAll()
        }
    }

    /// How long requests under way may take at shutdown.
    static let patience = Duration.seconds(2)

    private func fault(_ error: IOError) -> WebServerFault {
        let place = "\(address.host):\(address.port)"
        return switch error.errnoCode {
        case EADDRINUSE: .portTaken(place)
        default: .cannotListen(place, reason: "errno \(error.errnoCode)")
        }
    }

    func application() throws(WebServerFault) -> Application<StatusResponder> {
        let channel = HTTPServerBuilder.http1(
            configuration: .init(
                additionalChannelHandlers: [ConnectionShareHandler(share)], idleTimeout: .seconds(20),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 8 * 1024, maxHeaderListSize: 16 * 1024, maxHeaderFieldCount: 100)))
        let builder: HTTPServerBuilder
        if let files = address.tls {
            do {
                builder = try .tls(channel, tlsConfiguration: Self.configuration(files))
            } catch {
                throw .badTLSFiles("\(files.certificate), \(files.key)")
            }
        } else {
            builder = channel
        }
        let place = address.host
        return Application(
            responder: responder, server: builder,
            configuration: .init(
                address: .hostname(address.host, port: address.port), backlog: 64,
                availableConnectionsDelegate: .maximum(Self.connectionLimit, logger: logger)),
            onServerRunning: { [logger, onListening] channel in
                let port = channel.localAddress?.port ?? 0
                logger.info("HTTP is served", metadata: ["host": "\(place)", "port": "\(port)"])
                await onListening(port)
            }, logger: logger)
    }

    private static let connectionLimit = 1024

    private static func configuration(_ files: TLSFiles) throws -> TLSConfiguration {
        let chain = try NIOSSLCertificate.fromPEMFile(files.certificate)
        let key = try NIOSSLPrivateKey(file: files.key, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        return configuration
    }
}

/// Why a server can't listen.
public enum WebServerFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// Another program has the port.
    case portTaken(String)
    case cannotListen(String, reason: String)
    /// The certificate or the key can't be read, or they don't belong together.
    case badTLSFiles(String)

    public var description: String {
        switch self {
        case .portTaken(let place): "\(place) is taken by another program"
        case .cannotListen(let place, let reason): "can't listen on \(place): \(reason)"
        case .badTLSFiles(let files): "the certificate or its key can't be used: \(files)"
        }
    }
}
