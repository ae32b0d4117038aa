import HTTPTypes
import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore

/// An HTTP server on a free port of the loopback address that takes whatever is posted to one path: the end at which a
/// self-test waits for its alert.
public enum LoopbackSink {
    /// What was posted. Names of headers are in lower case.
    public struct Arrival: Sendable {
        public var headers: [String: String]
        public var body: [UInt8]
    }

    /// The only path that is answered.
    public static let path = "/self-test"

    /// Serves while `body`, which is told the address, works. `take` is called for each arrival, from any thread, before
    /// it is answered with 204. Throws when there is no port.
    public static func serving<Result: Sendable>(
        logger: Logger, take: @escaping @Sendable (Arrival) -> Void,
        _ body: @escaping @Sendable (String) async -> Result
    ) async throws -> Result {
        let (addresses, opened) = AsyncStream.makeStream(of: String.self)
        let application = Application(
            responder: SinkResponder(take: take),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in
                opened.yield("http://127.0.0.1:\(channel.localAddress?.port ?? 0)\(path)")
                opened.finish()
            }, logger: logger)
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                defer { opened.finish() }
                try await application.run()
                return nil
            }
            group.addTask {
                for await address in addresses { return await body(address) }
                return nil
            }
            defer { group.cancelAll() }
            while let ended = try await group.next() {
                if let result = ended { return result }
            }
            throw WebServerFault.cannotListen("127.0.0.1", reason: "the server ended")
        }
    }
}

private struct SinkResponder: HTTPResponder {
    typealias Context = WebContext

    let take: @Sendable (LoopbackSink.Arrival) -> Void

    func respond(to request: Request, context: WebContext) async throws -> Response {
        guard request.uri.path == LoopbackSink.path else { return Response(status: .notFound) }
        guard request.method == .post else { return Response(status: .methodNotAllowed) }
        let body = try await request.body.collect(upTo: StatusResponder.bodyLimit)
        var headers: [String: String] = [:]
        for field in request.headers { headers[field.name.canonicalName] = field.value }
        take(LoopbackSink.Arrival(headers: headers, body: Array(body.readableBytesView)))
        return Response(status: .noContent)
    }
}
