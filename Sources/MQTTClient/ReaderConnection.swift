internal import CLinux
internal import Glibc

/// A plain client, as a home reader or the other end of a test is one: publishes at QoS 1, subscribes, has a will.
/// One connection may speak for many devices. Nothing happens but in `serve`, which one thread calls again and again;
/// it reconnects by itself, with back-off, and subscribes anew each time.
public struct ReaderConnection: ~Copyable {
    public enum Event: Sendable, Hashable {
        case connected(sessionPresent: Bool)
        /// All filters were answered: the refusal is the first of any, nil if there is none.
        case subscribed(refusal: ReasonCode?)
        /// PUBACK for this packet identifier; a refusal's code means that the broker did not take it.
        case acknowledged(packet: Int32, ReasonCode)
        case message(topic: String, payload: [UInt8], retained: Bool)
        /// What was published and not acknowledged before this is unknown and has to be published again.
        case disconnected(MQTTError)
    }

    /// Publications that may wait for their PUBACK; packet identifiers are 16 bits wide.
    public static let window = 10_000

    private let callbacks = ReaderCallbacks()
    private var connection: Connection
    private var filters: [String] = []
    private var awaitsSubscribe = false
    private var poll = PollSet(count: 1)
    /// Publications without a PUBACK on this connection.
    public private(set) var unacknowledged = 0

    /// - Parameters:
    ///   - clientID: instead of that of the settings.
    ///   - keepsSession: the broker keeps subscriptions and queue while we are away, as long as the settings say.
    public init(settings: BrokerSettings, clientID: String, keepsSession: Bool = false, will: Will? = nil) {
        let identity = Connection.Identity(
            clientID: clientID, cleanStart: !keepsSession,
            sessionExpiry: keepsSession ? settings.sessionExpiry : .zero, will: will, publishWindow: 128)
        connection = Connection(settings, identity: identity, callbacks: callbacks)
    }

    public var isConnected: Bool { connection.isOpen }

    /// For a poll set of the caller's own; -1 while there is no socket.
    public var descriptor: Int32 { connection.descriptor }

    /// Adds a filter, QoS 1; sent at once when connected, and again at each connect.
    public mutating func subscribe(_ filter: String) throws(MQTTError) {
        filters.append(filter)
        guard connection.isOpen else { return }
        awaitsSubscribe = true
        try connection.subscribe(filter)
    }

    /// Queues one publication, QoS 1; `serve` sends it. Returns the packet identifier that its PUBACK will carry.
    /// Throws `notConnected`, and `windowFull` with as many under way as `window`: nothing was taken.
    public mutating func publish(
        topic: String, payload: [UInt8], retained: Bool = false
    ) throws(MQTTError) -> Int32 {
        guard connection.isOpen else { throw MQTTError(.notConnected) }
        guard unacknowledged < Self.window else { throw MQTTError(.windowFull) }
        let packet = try connection.publish(topic: topic, payload: payload.span, retained: retained)
        unacknowledged += 1
        return packet
    }

    /// One turn: connects when it is time, writes what is queued, waits up to `milliseconds` for something to read,
    /// reads it and tells of it. `body` may not call back into this connection.
    public mutating func serve(milliseconds: Int32, _ body: (Event) -> Void) {
        let start = linux_monotonic_nanoseconds()
        do throws(MQTTError) {
            if connection.state == .off { try connection.openIfDue(now: start) }
            if connection.isOpen {
                try connection.keepAlive(now: start)
                _ = try connection.write()
            }
            wait(now: start, milliseconds: milliseconds)
            try turn(events: poll[0], now: linux_monotonic_nanoseconds(), body)
        } catch {
            connection.lost(error, now: linux_monotonic_nanoseconds())
            unacknowledged = 0
            awaitsSubscribe = false
            tellMessages(body)
            body(.disconnected(error))
        }
    }

    /// Says DISCONNECT, so that the will is not published. The connection stays off.
    public mutating func close() { connection.close() }

    private mutating func wait(now: Int64, milliseconds: Int32) {
        let isOpen = connection.isOpen
        let interest = Int16(POLLIN) | (isOpen && connection.wantsWrite ? Int16(POLLOUT) : 0)
        poll.watch(0, descriptor: connection.descriptor, events: connection.connectingInterest ?? interest)
        let end = now.advanced(by: .milliseconds(Int64(milliseconds)))
        poll.wait(until: min(end, connection.wakeAt ?? end), now: now)
    }

    private mutating func turn(events: Int16, now: Int64, _ body: (Event) -> Void) throws(MQTTError) {
        switch connection.state {
        case .off:
            return
        case .opening, .greeting:
            guard let answer = try connection.advance(events: events, now: now) else { return }
            body(.connected(sessionPresent: answer.sessionPresent))
            awaitsSubscribe = !filters.isEmpty
            for filter in filters { try connection.subscribe(filter) }
            // Under TLS the first messages of a kept session may have come with CONNACK.
            tell(body)
            _ = try connection.write()
        case .open:
            guard events != 0 else { return }
            // Bounded, so that a flood of messages doesn't keep the caller from publishing.
            for _ in 0..<4096 { if try !connection.read() { break } }
            tell(body)
            if Connection.isBroken(events) { throw MQTTError(.connectionLost) }
            _ = try connection.write()
        }
    }

    private mutating func tell(_ body: (Event) -> Void) {
        if awaitsSubscribe, callbacks.granted.count >= filters.count {
            awaitsSubscribe = false
            body(.subscribed(refusal: callbacks.granted.first { $0.isRefusal }))
        }
        for (packet, code) in callbacks.acknowledged {
            unacknowledged -= 1
            body(.acknowledged(packet: packet, code))
        }
        callbacks.acknowledged.removeAll(keepingCapacity: true)
        tellMessages(body)
    }

    private func tellMessages(_ body: (Event) -> Void) {
        for message in callbacks.messages { body(message) }
        callbacks.messages.removeAll(keepingCapacity: true)
    }
}

/// Keeps what came during one turn.
private final class ReaderCallbacks: MosquittoCallbacks {
    var messages: [ReaderConnection.Event] = []

    override func received(topic: Span<UInt8>, payload: Span<UInt8>, retained: Bool) {
        let topic = unsafe topic.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
        let payload = unsafe payload.withUnsafeBufferPointer { unsafe Array($0) }
        messages.append(.message(topic: topic, payload: payload, retained: retained))
    }
}
