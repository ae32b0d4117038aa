internal import CLinux
internal import Glibc
internal import Ingestion

/// What the mqtt thread does; see `GatedSubscriber`, whose promise it keeps.
struct SubscriberLoop<InboxType: Inbox & ~Copyable & Sendable>: ~Copyable {
    private enum Phase {
        /// Nothing is unacknowledged: the queue may be written at any time.
        case reading
        /// A batch was read and is not durable: nothing may be written. Monotonic time of the first message.
        case holding(since: Int64)
        /// The batch is durable and its acknowledgements leave.
        case flushing(since: Int64)
    }

    /// Places in the poll set.
    private enum Watched {
        static var subscriber: Int { 0 }
        static var publisher: Int { 1 }
        static var inbox: Int { 2 }
        static var stop: Int { 3 }
    }

    /// Messages of a batch that are handed on together.
    private static var part: Int { 64 }

    private let limits: SubscriberLimits
    private let filters: [String]
    private let control: SubscriberControl
    private let observer: @Sendable (BrokerEvent) -> Void
    private let callbacks: GatedCallbacks<InboxType>
    private var subscriber: Connection
    private var publisher: ReceiptPublisher
    private var poll = PollSet(count: 4)

    private var phase = Phase.reading
    /// Nothing more waits in the socket, nor inside OpenSSL: `poll` says when there is more.
    private var isDrained = true
    /// After a hold that lasted too long: off until everything is durable.
    private var waitsForDurable = false
    private var hasConnected = false
    private var isSubscribed = false
    private var subscribeDeadline: Int64?
    private var subscribeAgainAt: Int64?
    private var subscribeBackoff: Backoff
    private var generator = SystemRandomNumberGenerator()
    private var stopDeadline: Int64?

    init(
        settings: BrokerSettings, limits: SubscriberLimits, filters: [String], inbox: consuming InboxType,
        control: SubscriberControl, observer: @escaping @Sendable (BrokerEvent) -> Void
    ) {
        self.limits = limits
        self.filters = filters
        self.control = control
        self.observer = observer
        callbacks = GatedCallbacks(inbox: inbox)
        let identity = Connection.Identity(
            clientID: settings.clientID, cleanStart: false, sessionExpiry: settings.sessionExpiry, will: nil)
        subscriber = Connection(settings, identity: identity, callbacks: callbacks)
        publisher = ReceiptPublisher(settings, capacity: limits.receipts, observer: observer)
        subscribeBackoff = Backoff(settings.backoff)
    }

    // MARK: The loop

    mutating func run() -> SubscriberOutcome {
        let outcome = serve()
        control.report(subscribed: false, publishing: false)
        for submission in control.publications.close() { submission.done(.unconfirmed) }
        publisher.giveUp()
        return outcome
    }

    private mutating func serve() -> SubscriberOutcome {
        while true {
            let now = linux_monotonic_nanoseconds()
            if callbacks.inbox.hasFailed { return .stageFailed }
            control.beat(mayResolve: subscriber.state == .off || publisher.connection.state == .off)
            // First, so that one that waits still is found before its confirmation is taken.
            publisher.takeSubmissions(from: control.publications, now: now)
            if control.isAllowed {
                publisher.serve(events: poll[Watched.publisher], now: now)
            } else {
                standAside(now: now)
            }
            serveSubscriber(events: poll[Watched.subscriber], now: now)
            let isReleased = callbacks.inbox.releaseDurable { topic, payload in
                publisher.enqueue(topic: topic, payload: payload)
            }
            publisher.flush(now: now)
            control.report(subscribed: isSubscribed, publishing: publisher.connection.isOpen)
            if let outcome = stopIfAsked(isReleased: isReleased, now: now) { return outcome }
            sleep(now: now)
        }
    }

    private mutating func serveSubscriber(events: Int16, now: Int64) {
        do throws(MQTTError) {
            switch subscriber.state {
            case .off:
                if mayConnect { try subscriber.openIfDue(now: now) }
            case .opening, .greeting:
                guard let answer = try subscriber.advance(events: events, now: now) else { return }
                try greeted(answer, now: now)
            case .open:
                try exchange(events: events, now: now)
            }
        } catch {
            lose(error, now: now)
        }
    }

    /// No use in connecting to what can't be read: the broker would drop a client that doesn't answer.
    private var mayConnect: Bool {
        stopDeadline == nil && control.isAllowed && callbacks.inbox.freeSlots > 0
            && (!waitsForDurable || callbacks.inbox.isAllDurable)
    }

    private mutating func greeted(_ answer: MosquittoCallbacks.ConnectAnswer, now: Int64) throws(MQTTError) {
        waitsForDurable = false
        observer(.connected(.subscriber, sessionPresent: answer.sessionPresent))
        if hasConnected, !answer.sessionPresent { observer(.lostSession) }
        hasConnected = true
        try subscribe(now: now)
        isDrained = false
        // Under TLS messages may have come with CONNACK; then SUBSCRIBE waits with their acknowledgements.
        try endBatch(now: now)
        try exchange(events: 0, now: now)
    }

    /// One turn of an open connection: ends a hold if it can, then reads the next batch.
    private mutating func exchange(events: Int16, now: Int64) throws(MQTTError) {
        if case .holding(let since) = phase {
            callbacks.publish()
            if callbacks.isAllDurable {
                phase = .flushing(since: now)
            } else {
                if Connection.isBroken(events) { throw MQTTError(.connectionLost) }
                guard now < since.advanced(by: limits.hold) else { throw MQTTError(.heldTooLong) }
            }
        }
        if case .flushing(let since) = phase {
            if try subscriber.write(isBatch: true) {
                callbacks.settle()
                phase = .reading
            } else if now >= since.advanced(by: limits.hold) {
                throw MQTTError(.timeout)
            }
        }
        if case .reading = phase { try readBatch(events: events, now: now) }
    }

    private mutating func readBatch(events: Int16, now: Int64) throws(MQTTError) {
        try subscriber.keepAlive(now: now)
        if let again = subscribeAgainAt, now >= again { try subscribe(now: now) }
        if let deadline = subscribeDeadline, now >= deadline { throw MQTTError(.timeout) }
        // Before the next read, or what is queued now would wait behind its acknowledgements.
        guard try subscriber.write() else { return }
        guard mayRead else {
            if Connection.isBroken(events) { throw MQTTError(.connectionLost) }
            return
        }
        guard !isDrained || events != 0 else { return }
        isDrained = false
        // Packets that are no messages count as well, so that nobody holds us in here.
        for _ in 0..<max(1, limits.batch) where !isDrained && callbacks.inbox.freeSlots > 0 {
            isDrained = try !subscriber.read()
            // The stages work on the first of them while the rest is read.
            if callbacks.unpublished >= Self.part { callbacks.publish() }
        }
        try endBatch(now: now)
        if callbacks.unacknowledged == 0, isDrained, Connection.isBroken(events) {
            throw MQTTError(.connectionLost)
        }
    }

    private var mayRead: Bool { stopDeadline == nil && callbacks.inbox.freeSlots > 0 }

    /// Hands over what was read, and holds if there was anything.
    private mutating func endBatch(now: Int64) throws(MQTTError) {
        callbacks.publish()
        if callbacks.unacknowledged > 0 { phase = .holding(since: now) }
        try takeSubscribeAnswer(now: now)
    }

    // MARK: Subscribing

    private mutating func subscribe(now: Int64) throws(MQTTError) {
        callbacks.granted.removeAll(keepingCapacity: true)
        subscribeAgainAt = nil
        subscribeDeadline = now.advanced(by: limits.subscribe)
        for filter in filters { try subscriber.subscribe(filter) }
    }

    private mutating func takeSubscribeAnswer(now: Int64) throws(MQTTError) {
        guard subscribeDeadline != nil, callbacks.granted.count >= filters.count else { return }
        subscribeDeadline = nil
        // QoS 0 would be delivered at most once, which is not what was asked for.
        if let refusal = callbacks.granted.first(where: { $0.isRefusal || $0.rawValue == 0 }) {
            isSubscribed = false
            subscribeAgainAt = now.advanced(by: subscribeBackoff.next(using: &generator))
            observer(.subscriptionRefused(refusal))
        } else {
            isSubscribed = true
            subscribeBackoff.reset()
            observer(.subscribed)
        }
    }

    // MARK: Losing the connection

    /// Drops the connection with every acknowledgement that is queued on it.
    private mutating func lose(_ error: MQTTError, now: Int64) {
        callbacks.publish()
        if error.reason == .heldTooLong {
            waitsForDurable = true
            observer(.heldTooLong)
        }
        if error.brokerCode == .sessionTakenOver { observer(.sessionTakenOver) }
        subscriber.lost(error, now: now)
        callbacks.settle()
        phase = .reading
        isDrained = true
        isSubscribed = false
        subscribeDeadline = nil
        subscribeAgainAt = nil
        observer(.disconnected(.subscriber, error))
        if subscriber.isContested { observer(.sessionContested) }
    }

    private mutating func standAside(now: Int64) {
        if subscriber.state != .off { lose(MQTTError(.stoodAside), now: now) }
        publisher.standAside(now: now)
    }

    // MARK: Stopping

    /// Says DISCONNECT once what was read is durable and acknowledged and its receipts are confirmed. Receipts are
    /// not waited for while the broker is away: a device sends again what it has no receipt for.
    private mutating func stopIfAsked(isReleased: Bool, now: Int64) -> SubscriberOutcome? {
        if stopDeadline == nil {
            stopDeadline = control.stopDeadline
            if stopDeadline == nil { return nil }
            linux_eventfd_drain(control.descriptor)
        }
        guard let deadline = stopDeadline else { return nil }
        if now >= deadline {
            // What is held must not leave, not even with a DISCONNECT behind it: dropped with the handle.
            if case .holding = phase {} else { subscriber.close() }
            publisher.close()
            return callbacks.unacknowledged == 0 && callbacks.isAllDurable ? .stopped : .stoppedUnacknowledged
        }
        guard case .reading = phase, callbacks.isAllDurable else { return nil }
        guard publisher.count == 0 && isReleased || !publisher.connection.isOpen else { return nil }
        subscriber.close()
        publisher.close()
        return .stopped
    }

    // MARK: Sleeping

    private mutating func sleep(now: Int64) {
        poll.watch(Watched.subscriber, descriptor: subscriber.descriptor, events: subscriberInterest)
        poll.watch(Watched.publisher, descriptor: publisher.descriptor, events: publisher.interest)
        poll.watch(Watched.inbox, descriptor: callbacks.inbox.wakeDescriptor, events: Int16(POLLIN))
        poll.watch(Watched.stop, descriptor: control.descriptor, events: stopDeadline == nil ? Int16(POLLIN) : 0)
        // First: what becomes durable from here on is announced, also if the looks below have seen it.
        let isParked = callbacks.inbox.park()
        poll.wait(until: isParked && !hasWork ? wakeAt(now: now) : 0, now: now)
        if poll[Watched.inbox] != 0 { callbacks.inbox.drainWake() }
        // Whatever it announced, a stop or a publication, is looked at next.
        if poll[Watched.stop] != 0 { linux_eventfd_drain(control.descriptor) }
    }

    /// Something to do that no descriptor announces.
    private var hasWork: Bool {
        if callbacks.hasOverflow, callbacks.inbox.freeSlots > 0 { return true }
        guard subscriber.isOpen else { return false }
        switch phase {
        case .reading: return mayRead && !isDrained && !subscriber.wantsWrite
        case .holding: return callbacks.isAllDurable
        case .flushing: return false
        }
    }

    private var subscriberInterest: Int16 {
        if let connecting = subscriber.connectingInterest { return connecting }
        switch phase {
        case .holding: return 0
        case .flushing: return Int16(POLLOUT)
        case .reading: return (mayRead ? Int16(POLLIN) : 0) | (subscriber.wantsWrite ? Int16(POLLOUT) : 0)
        }
    }

    /// The next time at which something is due that no descriptor announces; a beat for the watchdog in any case.
    private func wakeAt(now: Int64) -> Int64 {
        var times: [Int64?] = [
            control.isAllowed ? publisher.connection.wakeAt : nil, stopDeadline, publisher.nextConfirmation, control.publications.nextDeadline,
        ]
        switch phase {
        case .holding(let since), .flushing(let since):
            times.append(since.advanced(by: limits.hold))
        case .reading:
            times += [subscribeAgainAt, subscribeDeadline]
            if subscriber.state != .off || mayConnect { times.append(subscriber.wakeAt) }
        }
        return times.compactMap(\.self).reduce(now.advanced(by: .seconds(1)), min)
    }
}
