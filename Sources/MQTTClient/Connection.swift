internal import CLinux
internal import Glibc

/// Which of a host's addresses an attempt may use. Connecting without waiting goes no further than the first address
/// that doesn't refuse at once, so a host whose IPv6 leads nowhere would never be reached.
enum AddressFamily {
    case any
    case ipv4
}

/// One client's way to the broker and back again: off, connecting, greeted, open, lost, and after a back-off from the
/// start, for ever. Each connection has a handle of its own. Owned by one thread; nothing blocks but the resolver.
struct Connection: ~Copyable {
    enum State {
        /// Waits for `retryAt`.
        case off
        /// TCP's handshake.
        case opening
        /// TLS's handshake, CONNECT and CONNACK.
        case greeting
        case open
    }

    struct Identity {
        var clientID: String
        var cleanStart: Bool
        /// Zero: the session ends with the connection.
        var sessionExpiry: Duration
        var will: Will?
        /// Unacknowledged publications that libmosquitto may have on the way.
        var publishWindow: Int32 = 20
    }

    private(set) var state = State.off
    /// Monotonic nanoseconds; in `off`, when to try again.
    private(set) var retryAt: Int64 = 0
    private let settings: BrokerSettings
    private let identity: Identity
    private let callbacks: MosquittoCallbacks
    private var handle: MosquittoHandle?
    private var backoff: Backoff
    private var generator = SystemRandomNumberGenerator()
    private var attempts = 0
    /// When CONNACK came; nil when not open.
    private var openedAt: Int64?
    /// How many connections in a row were open and soon lost again.
    private var shortLived = 0
    private var connectDeadline: Int64 = 0
    private var nextKeepAlive: Int64 = 0

    init(_ settings: BrokerSettings, identity: Identity, callbacks: MosquittoCallbacks) {
        self.settings = settings
        self.identity = identity
        self.callbacks = callbacks
        backoff = Backoff(settings.backoff)
    }

    var descriptor: Int32 {
        switch handle {
        case .some(let handle): handle.descriptor
        case .none: -1
        }
    }
    var wantsWrite: Bool {
        switch handle {
        case .some(let handle): handle.wantsWrite
        case .none: false
        }
    }
    var isOpen: Bool { state == .open }

    // MARK: Life

    /// Begins to connect, if it is time. Throws what failed at once; `lost` must follow.
    mutating func openIfDue(now: Int64) throws(MQTTError) {
        guard state == .off, now >= retryAt else { return }
        callbacks.reset()
        let fresh = try MosquittoHandle(
            clientID: identity.clientID, cleanStart: identity.cleanStart, callbacks: callbacks)
        let addresses = attempts % 2 == 0 ? AddressFamily.any : .ipv4
        try fresh.configure(
            settings, will: identity.will, publishWindow: identity.publishWindow, addresses: addresses)
        try fresh.connect(settings, sessionExpiry: identity.sessionExpiry)
        handle = consume fresh
        state = .opening
        connectDeadline = now.advanced(by: settings.connectTimeout)
    }

    /// Goes on with connecting when poll said something of the socket. CONNACK's answer once it has come: then the
    /// connection is open. Throws what failed; `lost` must follow.
    mutating func advance(events: Int16, now: Int64) throws(MQTTError) -> MosquittoCallbacks.ConnectAnswer? {
        if state == .opening, events != 0 {
            try checkSocket()
            state = .greeting
        }
        if state == .greeting {
            // Bounded: a TLS handshake or CONNACK takes a few reads, and `poll` calls again for more.
            for _ in 0..<16 where callbacks.connectAnswer == nil {
                guard try read() else { break }
            }
            _ = try write()
            if let answer = callbacks.connectAnswer {
                guard answer.code == .success else { throw MQTTError(.connectionRefused, brokerCode: answer.code) }
                state = .open
                openedAt = now
                nextKeepAlive = now.advanced(by: .seconds(1))
                return answer
            }
            if Self.isBroken(events) { throw MQTTError(.connectionLost) }
        }
        if now >= connectDeadline { throw MQTTError(.timeout) }
        return nil
    }

    /// Another client seems to use our id. Mosquitto closes the older connection without saying why (Debian's 2.0.11
    /// never sends 0x8E), so it is told from connections that are accepted and soon lost, twice in a row.
    var isContested: Bool { shortLived >= 2 }

    /// Drops the connection without a word, with everything that was queued, and sets the time of the next attempt.
    /// Only a connection that stood for a while lets the next loss begin with a short wait again.
    mutating func lost(_ error: MQTTError, now: Int64) {
        if let openedAt {
            if now >= openedAt.advanced(by: settings.backoff.afterTakeover) {
                shortLived = 0
                backoff.reset()
            } else if error.reason == .connectionLost {
                shortLived += 1
            }
            attempts = 0
        } else {
            attempts += 1
        }
        openedAt = nil
        let takenOver = callbacks.disconnectCode == Int32(ReasonCode.sessionTakenOver.rawValue)
        handle = nil
        callbacks.reset()
        state = .off
        let wait =
            takenOver || isContested
            ? backoff.nextAfterTakeover(using: &generator) : backoff.next(using: &generator)
        retryAt = now.advanced(by: wait)
    }

    /// Says DISCONNECT, if there is anybody to say it to, and closes. What is still queued goes with it if the socket
    /// takes it, so nothing may be queued that must not leave.
    mutating func close() {
        if state == .open {
            // libmosquitto closes its own when DISCONNECT has left.
            let socket = dup(descriptor)
            // Whatever fails here, the broker notices the closed socket.
            do {
                try handle?.disconnect()
                _ = try write()
            } catch {}
            handle = nil
            Self.readToTheEnd(of: socket)
        }
        handle = nil
        state = .off
        retryAt = .max
    }

    /// Nanoseconds.
    private static let longestEnd: Int64 = 1_000_000_000

    /// A socket that is closed while there is something unread in it is reset, and a broker that is reset throws away what
    /// it has not read yet: our last acknowledgements. Read until the broker closes, a second at most.
    private static func readToTheEnd(of socket: Int32) {
        guard socket >= 0 else { return }
        defer { _ = Glibc.close(socket) }
        guard shutdown(socket, Int32(SHUT_WR)) == 0 else { return }
        let end = linux_monotonic_nanoseconds() + longestEnd
        var poll = PollSet(count: 1)
        var bytes = [UInt8](repeating: 0, count: 16_384)
        while true {
            let now = linux_monotonic_nanoseconds()
            guard now < end else { return }
            poll.watch(0, descriptor: socket, events: Int16(POLLIN))
            poll.wait(until: end, now: now)
            guard poll[0] != 0 else { continue }
            let count = unsafe Glibc.read(socket, &bytes, bytes.count)
            if count == 0 || count < 0 && errno != EAGAIN && errno != EINTR { return }
        }
    }

    // MARK: Traffic

    /// See `MosquittoHandle.read`.
    func read() throws(MQTTError) -> Bool {
        switch handle {
        case .some(let handle): try handle.read()
        case .none: false
        }
    }

    /// See `MosquittoHandle.write`.
    func write(isBatch: Bool = false) throws(MQTTError) -> Bool {
        switch handle {
        case .some(let handle): try handle.write(isBatch: isBatch)
        case .none: true
        }
    }

    func subscribe(_ filter: String) throws(MQTTError) {
        switch handle {
        case .some(let handle): try handle.subscribe(filter)
        case .none: throw MQTTError(.notConnected)
        }
    }

    func publish(topic: String, payload: Span<UInt8>, retained: Bool) throws(MQTTError) -> Int32 {
        switch handle {
        case .some(let handle): return try handle.publish(topic: topic, payload: payload, retained: retained)
        case .none: throw MQTTError(.notConnected)
        }
    }

    /// At most once a second; only when what is queued may leave, since a ping is queued behind it.
    mutating func keepAlive(now: Int64) throws(MQTTError) {
        guard state == .open, now >= nextKeepAlive else { return }
        nextKeepAlive = now.advanced(by: .seconds(1))
        try handle?.keepAlive()
    }

    // MARK: Polling

    /// What to poll the socket for while connecting; nil when open: the owner decides.
    var connectingInterest: Int16? {
        switch state {
        case .off: 0
        case .opening: Int16(POLLOUT)
        case .greeting: Int16(POLLIN)
        case .open: nil
        }
    }

    /// The latest time to look at this connection again; nil: whenever something happens.
    var wakeAt: Int64? {
        switch state {
        case .off: retryAt == .max ? nil : retryAt
        case .opening, .greeting: connectDeadline
        // Not each second: a ping may be a few seconds late.
        case .open: nextKeepAlive.advanced(by: settings.keepalive / 5)
        }
    }

    static func isBroken(_ events: Int16) -> Bool {
        events & Int16(POLLERR | POLLHUP | POLLNVAL) != 0
    }

    private func checkSocket() throws(MQTTError) {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        let result = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        if result != 0 { throw MQTTError(.system, systemCode: errno) }
        if code != 0 { throw MQTTError(.system, systemCode: code) }
    }
}

extension Int64 {
    /// Monotonic nanoseconds `duration` later; saturates.
    func advanced(by duration: Duration) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(duration.nanoseconds)
        return overflow ? .max : sum
    }
}
