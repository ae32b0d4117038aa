import Foundation
import Synchronization
import Testing

/// All tests of this target, one at a time: they share a cluster, and they block.
@Suite(.serialized) struct PostgresStoreSuite {}

/// Work on a thread of its own; blocking it holds up no other test.
final class Running<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    private let done = DispatchSemaphore(value: 0)

    init(_ body: @escaping @Sendable () throws -> Value) {
        Thread.detachNewThread { [self] in
            let outcome = Result { try body() }
            result.withLock { $0 = outcome }
            done.signal()
        }
    }

    /// Waits for its end.
    func value() throws -> Value {
        done.wait()
        defer { done.signal() }
        return try #require(result.withLock { $0 }).get()
    }
}
