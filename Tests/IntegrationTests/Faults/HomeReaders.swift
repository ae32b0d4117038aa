import Foundation
import MQTTClient
import Synchronization

/// The home readers of a ward, on a thread of their own: each sends its reports when they are due, keeps what was not
/// confirmed, sends it again under the same id, and notes what it was told.
final class HomeReaders: Sendable {
    struct Receipt: Sendable {
        var at: ContinuousClock.Instant
        var outcome: String
        var reason: String?
        var text: String
    }

    /// What is known of one report.
    struct Progress: Sendable {
        /// The first is what was sent first; the second says the same in other bytes, if that was ever sent.
        var payloads: [String] = []
        var firstSent: ContinuousClock.Instant?
        var sent = 0
        /// The broker took it at least once.
        var isAcknowledged = false
        var receipts: [Receipt] = []

        var isStored: Bool { receipts.contains { $0.outcome == "stored" || $0.outcome == "duplicate" } }
        var isRefused: Bool { receipts.contains { $0.outcome == "quarantined" } }
    }

    private struct State {
        var progress: [Progress]
        /// Reports that the broker has not confirmed on the present connection: to be sent, or on their way.
        var unconfirmed = 0
        var isSent = false
        var patience: Duration?
        var orders: [Int] = []
        var stops = false
        var hasStopped = false
        var isConnected = false
    }

    let reports: [FaultWard.Report]
    let start: ContinuousClock.Instant
    private let state: Mutex<State>

    /// - Parameter patience: a report without its receipt for so long is sent again; nil never.
    init(port: UInt16, reports: [FaultWard.Report], patience: Duration?) {
        self.reports = reports
        start = .now
        state = Mutex(State(progress: Array(repeating: Progress(), count: reports.count), patience: patience))
        Thread.detachNewThread { [self] in
            var thread = ReadersThread(port: port, readers: self)
            while !state.withLock({ $0.stops }) { thread.turn() }
            state.withLock { $0.hasStopped = true }
        }
    }

    /// Returns once the thread has ended.
    func stop() {
        state.withLock { $0.stops = true }
        while !state.withLock({ $0.hasStopped }) { usleep(2_000) }
    }

    var progress: [Progress] { state.withLock { $0.progress } }

    /// All are subscribed.
    var isConnected: Bool { state.withLock { $0.isConnected } }

    /// Everything of the plan was sent and taken by the broker.
    var isSent: Bool { state.withLock { $0.isSent && $0.unconfirmed == 0 } }

    /// From now on, what has no receipt after so long is sent again.
    func lose(patience: Duration) { state.withLock { $0.patience = patience } }

    /// Sends this report now, whenever it was due.
    func send(_ place: Int) { state.withLock { $0.orders.append(place) } }

    fileprivate func update<Value>(_ body: (inout Progress) -> Value, of place: Int) -> Value {
        state.withLock { body(&$0.progress[place]) }
    }

    fileprivate func note(unconfirmed: Int, isSent: Bool, isConnected: Bool) -> (patience: Duration?, orders: [Int]) {
        state.withLock { state in
            state.unconfirmed = unconfirmed + state.orders.count
            state.isSent = isSent
            state.isConnected = isConnected
            let orders = state.orders
            state.orders = []
            return (state.patience, orders)
        }
    }
}

/// One connection that speaks for several devices.
private final class ReaderLine {
    struct Sending {
        var place: Int
        var variant: Int
    }

    var connection: ReaderConnection
    /// Under way, by packet identifier.
    var sendings: [Int32: Sending] = [:]
    /// A slice: its first is taken away without moving the others.
    var queue: ArraySlice<Sending> = []
    var isSubscribed = false
    /// The receipts of its devices come by another line.
    let isSilent: Bool

    init(port: UInt16, topics: [String]) {
        isSilent = topics.isEmpty
        var settings = BrokerSettings(host: "127.0.0.1", port: port, clientID: "readers-\(UUID().uuidString)")
        settings.backoff.floor = .milliseconds(20)
        settings.backoff.ceiling = .milliseconds(300)
        connection = ReaderConnection(settings: settings, clientID: settings.clientID)
        for topic in topics { try? connection.subscribe(topic) }
    }
}

private struct ReadersThread {
    private struct Due: Comparable {
        var at: ContinuousClock.Instant
        var place: Int
        var variant: Int

        static func < (left: Due, right: Due) -> Bool { left.at < right.at }
    }

    private let readers: HomeReaders
    private let lines: [ReaderLine]
    private let lineOfDevice: [String: Int]
    /// Latest first, so that the next is taken from the end.
    private var due: [Due] = []
    /// Contradictions that wait for what they contradict.
    private var waiting: [Int] = []
    private var places: [String: [Int]] = [:]
    /// What has no receipt yet, for the devices' patience.
    private var lastSent: [Int: (at: ContinuousClock.Instant, times: Int)] = [:]

    init(port: UInt16, readers: HomeReaders) {
        self.readers = readers
        let devices = Array(Set(readers.reports.map(\.device))).sorted()
        let count = min(3, max(1, devices.count))
        var lineOfDevice: [String: Int] = [:]
        for (number, device) in devices.enumerated() { lineOfDevice[device] = number % count }
        self.lineOfDevice = lineOfDevice
        // A large ward's receipts all come by the first line.
        let isLarge = devices.count > 100
        lines = (0..<count).map { line in
            let own = devices.filter { lineOfDevice[$0] == line }.map { "homeward/v1/+/\($0)/receipt" }
            return ReaderLine(port: port, topics: isLarge ? (line == 0 ? ["homeward/v1/+/+/receipt"] : []) : own)
        }
        for (place, report) in readers.reports.enumerated() {
            places[report.id, default: []].append(place)
            guard report.contradicts == nil else {
                waiting.append(place)
                continue
            }
            guard !report.isOrdered else { continue }
            due.append(Due(at: readers.start + .milliseconds(report.at), place: place, variant: 0))
            for again in report.again {
                due.append(
                    Due(
                        at: readers.start + .milliseconds(report.at + again.after), place: place,
                        variant: again.sameBytes ? 0 : 1))
            }
        }
        due.sort(by: >)
    }

    mutating func turn() {
        let now = ContinuousClock.now
        while let next = due.last, next.at <= now {
            due.removeLast()
            enqueue(next.place, variant: next.variant)
        }
        for line in lines {
            while let sending = line.queue.first, line.isSubscribed {
                guard send(sending, on: line, now: now) else { break }
                line.queue.removeFirst()
            }
            serve(line)
        }
        let unconfirmed = lines.reduce(0) { $0 + $1.queue.count + $1.sendings.count }
        let (patience, orders) = readers.note(
            unconfirmed: unconfirmed, isSent: due.isEmpty, isConnected: lines.allSatisfy(\.isSubscribed))
        for place in orders { enqueue(place, variant: 0) }
        contradict()
        if let patience { repeatUnreceipted(patience, now: now) }
    }

    private func enqueue(_ place: Int, variant: Int) {
        let report = readers.reports[place]
        lines[lineOfDevice[report.device] ?? 0].queue.append(ReaderLine.Sending(place: place, variant: variant))
    }

    /// False when the connection takes no more now.
    private mutating func send(
        _ sending: ReaderLine.Sending, on line: ReaderLine, now: ContinuousClock.Instant
    ) -> Bool {
        let report = readers.reports[sending.place]
        let payload = readers.update(
            { progress in
                if progress.payloads.isEmpty {
                    let taken = Self.time(Date(timeIntervalSinceNow: report.takenOffset))
                    let texts = report.again.isEmpty ? [report.payload] : [report.payload, report.payloadAgain]
                    progress.payloads = texts.map { $0.replacing("TAKEN", with: taken) }
                }
                return progress.payloads[sending.variant]
            }, of: sending.place)
        do throws(MQTTError) {
            let packet = try line.connection.publish(topic: report.topic, payload: Array(payload.utf8))
            line.sendings[packet] = sending
            readers.update(
                { progress in
                    if progress.firstSent == nil { progress.firstSent = now }
                    progress.sent += 1
                }, of: sending.place)
            lastSent[sending.place, default: (now, 0)].at = now
            return true
        } catch { return false }
    }

    private mutating func serve(_ line: ReaderLine) {
        var receipts: [String] = []
        line.connection.serve(milliseconds: 2) { event in
            switch event {
            case .subscribed: line.isSubscribed = true
            case .connected: line.isSubscribed = line.isSilent
            case .acknowledged(let packet, let code):
                guard let sending = line.sendings.removeValue(forKey: packet), !code.isRefusal else { break }
                readers.update({ $0.isAcknowledged = true }, of: sending.place)
            case .message(_, let payload, _): receipts.append(String(decoding: payload, as: UTF8.self))
            case .disconnected:
                line.isSubscribed = false
                // Their fate is unknown: sent again, in the order of their first sending.
                line.queue = line.sendings.sorted { $0.key < $1.key }.map(\.value)[...] + line.queue
                line.sendings = [:]
            }
        }
        for text in receipts { take(text) }
    }

    private mutating func take(_ text: String) {
        guard let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
            let id = object["id"] as? String, let outcome = object["outcome"] as? String
        else { return }
        let receipt = HomeReaders.Receipt(
            at: .now, outcome: outcome, reason: object["reason"] as? String, text: text)
        // One id may be of a report and of another that contradicts it: both see what comes.
        for place in places[id, default: []] { readers.update({ $0.receipts.append(receipt) }, of: place) }
    }

    private mutating func contradict() {
        let ready = waiting.filter { place in
            guard let first = readers.reports[place].contradicts else { return false }
            return readers.update({ $0.isStored }, of: first)
        }
        guard !ready.isEmpty else { return }
        for place in ready { enqueue(place, variant: 0) }
        waiting.removeAll { ready.contains($0) }
    }

    private mutating func repeatUnreceipted(_ patience: Duration, now: ContinuousClock.Instant) {
        for (place, last) in lastSent where now - last.at > patience * (1 << min(last.times, 3)) {
            let report = readers.reports[place]
            guard report.mark == nil else { continue }
            let isReceipted = readers.update(
                { if case .stored = report.fate { $0.isStored } else { $0.isRefused } }, of: place)
            if isReceipted {
                lastSent[place] = nil
            } else if !lines[lineOfDevice[report.device] ?? 0].queue.contains(where: { $0.place == place }) {
                lastSent[place] = (now, last.times + 1)
                enqueue(place, variant: 0)
            }
        }
    }

    /// To the millisecond.
    private static func time(_ date: Date) -> String {
        date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
