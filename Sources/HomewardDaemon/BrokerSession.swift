import Dispatch
import Foundation
import Synchronization

/// Whether an earlier life of this instance had subscribed with this broker, so that a session must be there: kept in
/// the state directory. Any thread.
final class BrokerSession: Sendable {
    private let file: String
    /// Whose session; a broker or a client id that was changed in the configuration has none to lose.
    private let identity: String
    private let isExpected: Mutex<Bool>
    private let hasNoted = Atomic(false)

    init(directory: String, broker: String, clientID: String) {
        file = directory + "/broker-session"
        identity = "\(broker) \(clientID)\n"
        isExpected = Mutex((try? String(contentsOfFile: file, encoding: .utf8)) == identity)
    }

    /// At the first connect of this life: true where the earlier life's session should have been there.
    func takeExpectation() -> Bool {
        isExpected.withLock { isExpected in
            defer { isExpected = false }
            return isExpected
        }
    }

    /// From now on there is one. Written elsewhere: the mqtt thread must not wait for a disk. Where it can't be
    /// written, a session that is lost while the daemon is down goes unnoticed, which is no reason to stop.
    func note() {
        guard !hasNoted.exchange(true, ordering: .relaxed) else { return }
        DispatchQueue.global().async { [file, identity] in
            try? identity.write(toFile: file, atomically: true, encoding: .utf8)
        }
    }
}
