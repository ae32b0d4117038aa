import Alerting
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import ServiceLifecycle
import Synchronization

/// How many event streams are open, of each session: a page has one, and nobody needs many.
final class StreamCount: Sendable {
    static let perSession = 8
    private let counts = Mutex<[SessionToken: Int]>([:])

    /// Nil when that session has enough.
    func begin(_ session: SessionToken) -> Slot? {
        let may = counts.withLock { counts in
            guard counts[session, default: 0] < Self.perSession else { return false }
            counts[session, default: 0] += 1
            return true
        }
        return may ? Slot(self, session) : nil
    }

    var openStreams: Int { counts.withLock { $0.values.reduce(0, +) } }

    /// One open stream. It ends with the last who holds it: also where the head of its answer could not be written.
    final class Slot: Sendable {
        private let count: StreamCount
        private let session: SessionToken

        fileprivate init(_ count: StreamCount, _ session: SessionToken) {
            self.count = count
            self.session = session
        }

        deinit { count.end(session) }
    }

    fileprivate func end(_ session: SessionToken) {
        counts.withLock { counts in
            let left = (counts[session] ?? 1) - 1
            counts[session] = left > 0 ? left : nil
        }
    }
}

extension PageResponder {
    private enum Signal: Sendable {
        case changed
        case tick
    }

    /// So often a stream asks whether its session still stands, and the page hears that it is connected.
    private static let pulse = Duration.seconds(4)

    /// Server-sent events: `changed` when the worklist may have, `pulse` in between, or `away` where the list
    /// can't be made, `signed-out` at the end of the
    /// session. It ends with the session, with the client, and at shutdown.
    func events(_ session: SessionToken) async throws(CareDeskUnavailable) -> Response {
        guard try await desk.viewer(of: session, isActivity: false) != nil else {
            return text(.unauthorized, "signed out")
        }
        guard let slot = streams.begin(session) else { return text(.tooManyRequests, "too many open pages") }
        var headers = headers("text/event-stream")
        headers[HTTPField.Name(validated: "X-Accel-Buffering")] = "no"
        let body = ResponseBody { [slot] writer in
            let (signals, feed) = AsyncStream<Signal>.makeStream(bufferingPolicy: .bufferingNewest(4))
            let news = desk.news()
            let tasks = [
                Task {
                    for await _ in news { feed.yield(.changed) }
                    feed.finish()
                },
                Task {
                    while !Task.isCancelled {
                        try await Task.sleep(for: Self.pulse)
                        feed.yield(.tick)
                    }
                },
                Task {
                    try await gracefulShutdown()
                    feed.finish()
                },
            ]
            defer {
                for task in tasks { task.cancel() }
                withExtendedLifetime(slot) {}
            }
            try await writer.write(ByteBuffer(string: "retry: 3000\nevent: pulse\ndata: hello\n\n"))
            for await signal in signals {
                switch signal {
                case .changed: try await writer.write(ByteBuffer(string: "event: changed\ndata: list\n\n"))
                case .tick:
                    // A database that is away ends no session: the page says how old it is.
                    let pulse = await pulse(session)
                    try await writer.write(ByteBuffer(string: "event: \(pulse)\ndata: still\n\n"))
                    if pulse == "signed-out" { feed.finish() }
                }
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }

    /// What a page hears in between.
    func pulse(_ session: SessionToken) async -> String {
        do throws(CareDeskUnavailable) {
            guard try await desk.viewer(of: session, isActivity: false) != nil else { return "signed-out" }
            return desk.isBehind ? "away" : "pulse"
        } catch {
            return "away"
        }
    }
}
