import CLinux
import Clinical
import Glibc
import Ingestion
import Synchronization

/// An inbox in memory whose `durable` the test moves by hand. Also checks that the subscriber keeps to the rules.
final class ManualInbox: Inbox, Sendable {
    struct Message: Sendable, Hashable {
        var topic: String
        var payload: [UInt8]
        var fullLength: Int
        var digest: [UInt8]?
        var retained: Bool

        var text: String { String(decoding: payload, as: UTF8.self) }
    }

    private struct State {
        var messages: [Message] = []
        var published = 0
        var durable = 0
        var seenDurable = 0
        var released = 0
        var isParked = false
        var followsPublished: Bool
        var releases: Bool
        var hasFailed = false
        var refused = 0
    }

    let capacity: Int
    let sendsReceipts: Bool
    let wakeDescriptor: Int32
    private let state: Mutex<State>

    /// - Parameters:
    ///   - durable: what is published is durable at once; else the test says when.
    ///   - releases: slots are freed when durable; else they stay taken until `release()`.
    init(capacity: Int = 4096, durable: Bool = true, releases: Bool = true, sendsReceipts: Bool = false) {
        self.capacity = capacity
        self.sendsReceipts = sendsReceipts
        wakeDescriptor = linux_eventfd_open()
        state = Mutex(State(followsPublished: durable, releases: releases))
    }

    deinit { close(wakeDescriptor) }

    // MARK: The test's side

    var messages: [Message] { state.withLock { Array($0.messages[..<$0.published]) } }
    var texts: [String] { messages.map(\.text) }
    /// How often the subscriber tried to put a message where no slot was free.
    var refused: Int { state.withLock { $0.refused } }

    /// Everything published by now is durable, and from here on at once.
    func makeDurable() {
        state.withLock { state in
            state.followsPublished = true
            state.durable = state.published
        }
        linux_eventfd_signal(wakeDescriptor)
    }

    /// From here on slots are freed when durable.
    func release() {
        state.withLock { $0.releases = true }
        linux_eventfd_signal(wakeDescriptor)
    }

    func fail() {
        state.withLock { $0.hasFailed = true }
        linux_eventfd_signal(wakeDescriptor)
    }

    // MARK: The subscriber's side

    var freeSlots: Int { state.withLock { capacity - ($0.messages.count - $0.released) } }

    func receive(
        topic: Span<UInt8>, payload: Span<UInt8>, fullLength: Int, digest: [UInt8]?, retained: Bool,
        receivedAt: Instant
    ) -> Bool {
        let topic = unsafe topic.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
        let message = Message(
            topic: topic, payload: unsafe payload.withUnsafeBufferPointer { unsafe Array($0) }, fullLength: fullLength,
            digest: digest, retained: retained)
        return state.withLock { state in
            guard state.messages.count - state.released < capacity else {
                state.refused += 1
                return false
            }
            state.messages.append(message)
            return true
        }
    }

    func publish() {
        state.withLock { state in
            state.published = state.messages.count
            if state.followsPublished { state.durable = state.published }
        }
    }

    var isAllDurable: Bool {
        state.withLock { state in
            state.seenDurable = state.durable
            return state.durable == state.published
        }
    }

    func releaseDurable(_ send: (_ topic: String, _ payload: Span<UInt8>) -> Bool) -> Bool {
        let (from, messages) = state.withLock { state in
            state.seenDurable = state.durable
            return (state.released, state.releases ? Array(state.messages[state.released..<state.durable]) : [])
        }
        var count = 0
        for message in messages {
            let topic = message.topic.replacing("/report", with: "/receipt")
            if sendsReceipts, !send(topic, message.payload.span) { break }
            count += 1
        }
        state.withLock { $0.released = from + count }
        return count == messages.count
    }

    func park() -> Bool {
        state.withLock { state in
            let moved = state.durable != state.seenDurable || state.hasFailed
            state.seenDurable = state.durable
            state.isParked = !moved
            return !moved
        }
    }

    func drainWake() { linux_eventfd_drain(wakeDescriptor) }

    var hasFailed: Bool { state.withLock { $0.hasFailed } }
}
