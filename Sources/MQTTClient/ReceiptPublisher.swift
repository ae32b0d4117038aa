internal import Glibc

/// The second, ungated client: receipts leave through it, since on the gated one they would wait behind held
/// acknowledgements. Keeps each publication until its PUBACK, over reconnects, and holds a fixed number of them.
/// Owned by the mqtt thread.
struct ReceiptPublisher: ~Copyable {
    private struct Publication {
        var topic: String
        var payload: [UInt8]
        /// 0 while it waits to be handed to libmosquitto.
        var packet: Int32 = 0
        /// Nil for a receipt, which nobody waits for.
        var confirmation: Confirmation?
    }

    private struct Confirmation {
        var key: String
        var deadline: Int64
        /// Nil once somebody was told.
        var done: (@Sendable (PublicationOutcome) -> Void)?
    }

    private static let refusalReportInterval = Duration.seconds(60)

    private let callbacks = MosquittoCallbacks()
    private(set) var connection: Connection
    private let observer: @Sendable (BrokerEvent) -> Void
    /// A ring: `count` publications from `head`, the first `sent` of which are with libmosquitto.
    private var publications: [Publication?]
    private var head = 0
    private(set) var count = 0
    private var sent = 0
    private let window: Int
    /// After a loss one publication at a time, until one is accepted: Mosquitto 2.0.11 resets the connection behind a
    /// publication that it refuses, and the reset takes the refusal with it when more had been sent.
    private var isCautious = false
    private var allowed: Int { isCautious ? 1 : window }
    private var refused = 0
    private var reportRefusedAt: Int64 = 0

    init(_ settings: BrokerSettings, capacity: Int, observer: @escaping @Sendable (BrokerEvent) -> Void) {
        publications = Array(repeating: nil, count: max(1, capacity))
        // libmosquitto walks its list at each PUBLISH and PUBACK, so only as many as keep the broker busy are in it.
        window = min(max(1, capacity), 128)
        self.observer = observer
        // Clean: what the broker doesn't confirm is kept here, not there.
        let identity = Connection.Identity(
            clientID: settings.clientID + "-receipts", cleanStart: true, sessionExpiry: .zero, will: nil,
            publishWindow: Int32(clamping: window))
        connection = Connection(settings, identity: identity, callbacks: callbacks)
    }

    var isFull: Bool { count == publications.count }

    /// Queues one publication. False when full: nothing was taken.
    mutating func enqueue(topic: String, payload: Span<UInt8>) -> Bool {
        guard !isFull else { return false }
        let copy = unsafe payload.withUnsafeBufferPointer { unsafe Array($0) }
        publications[(head + count) % publications.count] = Publication(topic: topic, payload: copy)
        count += 1
        return true
    }

    /// Takes what other threads have handed in, as long as it leaves the half of its room to receipts.
    mutating func takeSubmissions(from mailbox: PublicationMailbox, now: Int64) {
        let room = connection.isOpen ? publications.count / 2 - count : 0
        let (fresh, late) = mailbox.take(room, now: now)
        for submission in late { submission.done(.unconfirmed) }
        for submission in fresh { add(submission) }
        guard let next = nextConfirmation, next <= now else { return }
        for index in publications.indices {
            guard let confirmation = publications[index]?.confirmation, confirmation.deadline <= now else { continue }
            publications[index]?.confirmation?.done = nil
            confirmation.done?(.unconfirmed)
        }
    }

    private mutating func add(_ submission: Submission) {
        let confirmation = Confirmation(key: submission.key, deadline: submission.deadline, done: submission.done)
        if let index = publications.firstIndex(where: { $0?.confirmation?.key == submission.key }) {
            let earlier = publications[index]?.confirmation?.done
            publications[index]?.confirmation = confirmation
            earlier?(.unconfirmed)
            return
        }
        publications[(head + count) % publications.count] = Publication(
            topic: submission.topic, payload: submission.payload, confirmation: confirmation)
        count += 1
    }

    /// When somebody must be told that there was no answer.
    var nextConfirmation: Int64? {
        guard count > 0 else { return nil }
        return publications.compactMap { publication in
            publication?.confirmation.flatMap { $0.done == nil ? nil : $0.deadline }
        }.min()
    }

    /// Tells everybody who waits still: the client ends.
    mutating func giveUp() {
        for index in publications.indices {
            publications[index]?.confirmation?.done?(.unconfirmed)
            publications[index]?.confirmation?.done = nil
        }
    }

    /// Connects when it is time, sends what the window allows, takes the PUBACKs that have come.
    mutating func serve(events: Int16, now: Int64) {
        do throws(MQTTError) {
            switch connection.state {
            case .off:
                try connection.openIfDue(now: now)
            case .opening, .greeting:
                guard let answer = try connection.advance(events: events, now: now) else { return }
                observer(.connected(.publisher, sessionPresent: answer.sessionPresent))
                try exchange(events: events, now: now)
            case .open:
                try exchange(events: events, now: now)
            }
        } catch {
            lose(error, now: now)
        }
        reportRefused(now: now)
    }

    /// Sends what has been queued since `serve`, so that it need not wait for the next event.
    mutating func flush(now: Int64) {
        guard connection.isOpen, sent < count, sent < allowed else { return }
        serve(events: 0, now: now)
    }

    mutating func close() { connection.close() }

    /// Without a word; what is not confirmed is kept.
    mutating func standAside(now: Int64) {
        guard connection.state != .off else { return }
        lose(MQTTError(.stoodAside), now: now)
    }

    private mutating func lose(_ error: MQTTError, now: Int64) {
        connection.lost(error, now: now)
        sent = 0
        isCautious = true
        observer(.disconnected(.publisher, error))
    }

    private mutating func exchange(events: Int16, now: Int64) throws(MQTTError) {
        try connection.keepAlive(now: now)
        if events != 0 {
            // Bounded by the window: nothing but PUBACKs and pings comes here.
            do throws(MQTTError) {
                while try connection.read() {}
            } catch {
                // A refusal comes with the reset: unread, it would be provoked again for ever.
                takeAcknowledgements()
                throw error
            }
            takeAcknowledgements()
            if Connection.isBroken(events) { throw MQTTError(.connectionLost) }
        }
        try send()
        if connection.wantsWrite { _ = try connection.write(isBatch: true) }
    }

    private mutating func send() throws(MQTTError) {
        while sent < count, sent < allowed {
            let index = (head + sent) % publications.count
            guard let publication = publications[index] else { return }
            do throws(MQTTError) {
                publications[index]?.packet = try connection.publish(
                    topic: publication.topic, payload: publication.payload.span, retained: false)
                sent += 1
            } catch  where error.reason == .invalidArgument || error.reason == .payloadTooLarge {
                // No later attempt would fare better, and it must not keep the others waiting.
                refused += 1
                publications[index]?.confirmation?.done?(.refused(.unspecified))
                remove(at: sent)
            }
        }
    }

    private mutating func takeAcknowledgements() {
        for (packet, code) in callbacks.acknowledged {
            if code.isRefusal {
                refused += 1
                lastRefusal = code
            } else {
                isCautious = false
            }
            // Brokers confirm in order, so this is the first in nearly all cases.
            for offset in 0..<sent where publications[(head + offset) % publications.count]?.packet == packet {
                publications[(head + offset) % publications.count]?.confirmation?.done?(
                    code.isRefusal ? .refused(code) : .accepted)
                remove(at: offset)
                sent -= 1
                break
            }
        }
        callbacks.acknowledged.removeAll(keepingCapacity: true)
    }

    /// Takes out one publication and closes the gap from the front.
    private mutating func remove(at offset: Int) {
        var gap = offset
        while gap > 0 {
            publications[(head + gap) % publications.count] = publications[(head + gap - 1) % publications.count]
            gap -= 1
        }
        publications[head] = nil
        head = (head + 1) % publications.count
        count -= 1
    }

    private var lastRefusal = ReasonCode.unspecified

    private mutating func reportRefused(now: Int64) {
        guard refused > 0, now >= reportRefusedAt else { return }
        reportRefusedAt = now.advanced(by: Self.refusalReportInterval)
        observer(.publicationsRefused(lastRefusal, count: refused))
        refused = 0
    }

    // MARK: Polling

    var descriptor: Int32 { connection.descriptor }

    var interest: Int16 {
        if let connecting = connection.connectingInterest { return connecting }
        return Int16(POLLIN) | (connection.wantsWrite ? Int16(POLLOUT) : 0)
    }
}
