import Alerting
import Dispatch
import Ingestion
import Instruments
import Logging
import RingBuffer
import Synchronization

/// Threads of their own for what blocks, each with its own tool (a database connection), and a bounded queue before them.
/// The cooperative pool never waits for PostgreSQL.
final class DeskThreads<Tool>: Sendable {
    private typealias Job = @Sendable (Tool?) -> Void

    private struct Queue {
        var waiting: [Job] = []
        var isClosed = false
    }

    private let queue = Mutex(Queue())
    private let available = DispatchSemaphore(value: 0)
    private let limit: Int
    private let count: Int
    private let name: String
    private let logger: Logger
    private let complaints = RepeatedWords()

    /// - Parameters:
    ///   - name: of the threads, at most 15 bytes.
    ///   - limit: more than so many waiting are refused.
    ///   - make: called on each thread once.
    init(name: String, count: Int, limit: Int, logger: Logger, make: @escaping @Sendable () -> Tool) {
        self.limit = limit
        self.count = count
        self.name = name
        self.logger = logger
        for _ in 0..<count {
            _ = StageThread.start(name: name) { self.work(make()) }
        }
    }

    private func work(_ tool: Tool) {
        while true {
            available.wait()
            let (job, isClosed) = queue.withLock { queue in
                (queue.waiting.isEmpty ? nil : queue.waiting.removeFirst(), queue.isClosed)
            }
            if let job { job(isClosed ? nil : tool) } else if isClosed { return }
        }
    }

    /// Runs it on one of the threads; `busy` when too many wait, `databaseAway` after the end.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (Tool) throws(StoreFailure) -> Value
    ) async throws(CareDeskUnavailable) -> Value {
        let result: Result<Value, CareDeskUnavailable> = await withCheckedContinuation { continuation in
            let refusal = queue.withLock { queue -> CareDeskUnavailable? in
                if queue.isClosed { return .databaseAway }
                if queue.waiting.count >= limit { return .busy }
                queue.waiting.append { [self] tool in
                    guard let tool else { return continuation.resume(returning: .failure(.databaseAway)) }
                    do throws(StoreFailure) {
                        continuation.resume(returning: .success(try body(tool)))
                    } catch {
                        complain("\(error)")
                        continuation.resume(returning: .failure(CareDeskUnavailable(error)))
                    }
                }
                return nil
            }
            if let refusal {
                complain("\(refusal)")
                continuation.resume(returning: .failure(refusal))
            } else {
                available.signal()
            }
        }
        return try result.get()
    }

    /// Whoever looks at the page is told that it does not work, and not why.
    private func complain(_ failure: String) {
        guard let times = complaints.take(failure) else { return }
        logger.warning(
            "a request of the page failed",
            metadata: ["thread": "\(name)", "failure": "\(failure)", "times": "\(times)"])
    }

    /// What waits is answered with `databaseAway`; the threads end.
    func close() {
        queue.withLock { $0.isClosed = true }
        for _ in 0..<count { available.signal() }
    }
}

extension CareDeskUnavailable {
    init(_ failure: StoreFailure) {
        self = failure.kind == .transient ? .databaseAway : .misconfigured(failure.message)
    }
}
