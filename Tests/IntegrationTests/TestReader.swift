import Foundation
import MQTTClient
import TestSupport

/// A home reader in a test: it publishes, keeps what is not receipted, and sends it again.
struct TestReader: ~Copyable {
    private var connection: ReaderConnection
    private let device: String
    /// Receipts by report id, in the order in which they came.
    private(set) var receipts: [String: [String]] = [:]
    /// The ids of all receipts, in the order in which they came.
    private(set) var receiptOrder: [String] = []

    init(port: UInt16, device: String = "dev-0001", site: String = "north") throws {
        self.device = device
        var settings = BrokerSettings(host: "127.0.0.1", port: port, clientID: "reader-\(UUID().uuidString)")
        settings.backoff.floor = .milliseconds(20)
        settings.backoff.ceiling = .milliseconds(200)
        connection = ReaderConnection(settings: settings, clientID: settings.clientID)
        try connection.subscribe("homeward/v1/+/\(device)/receipt")
        var subscribed = false
        guard turn(until: { subscribed }, { if case .subscribed = $0 { subscribed = true } }) else {
            throw Stack.Failure(description: "the reader can't subscribe")
        }
    }

    var topic: String { "homeward/v1/north/\(device)/report" }

    /// Publishes and waits for the broker's PUBACK.
    mutating func publish(_ payload: [UInt8], topic: String? = nil, retained: Bool = false) throws {
        let packet = try connection.publish(topic: topic ?? self.topic, payload: payload, retained: retained)
        var taken = false
        guard turn(until: { taken }, { if case .acknowledged(packet, _) = $0 { taken = true } }) else {
            throw Stack.Failure(description: "no PUBACK")
        }
    }

    mutating func publish(_ payload: String, topic: String? = nil, retained: Bool = false) throws {
        try publish(Array(payload.utf8), topic: topic, retained: retained)
    }

    /// Hands a report to the connection without waiting. False when the window is full or the broker away.
    mutating func send(_ payload: String, topic: String? = nil) -> Bool { send(Array(payload.utf8), topic: topic) }

    mutating func send(_ payload: [UInt8], topic: String? = nil) -> Bool {
        do throws(MQTTError) {
            _ = try connection.publish(topic: topic ?? self.topic, payload: payload)
            return true
        } catch { return false }
    }

    mutating func serve() {
        _ = turn(until: { true }, { _ in })
    }

    /// Whether a receipt of that outcome has come by now.
    mutating func hasReceipt(of id: String, outcome: String) -> Bool {
        serve()
        return receipts[id, default: []].contains { Self.member("outcome", of: $0) == outcome }
    }

    /// The first receipt of a report, waited for; throws when none comes.
    mutating func receipted(_ id: String, within limit: Duration = .seconds(90)) throws -> String {
        guard let receipt = receipt(of: id, within: limit) else {
            throw Stack.Failure(description: "no receipt of \(id)")
        }
        return receipt
    }

    /// The first receipt of a report, waited for.
    mutating func receipt(of id: String, within limit: Duration = .seconds(90)) -> String? {
        _ = turn(within: limit, until: { false }, { _ in }, orReceipt: id)
        return receipts[id]?.first
    }

    /// Serves until `done`, told of each event. False when the time is up.
    private mutating func turn(
        within limit: Duration = .seconds(90), until done: () -> Bool,
        _ body: (ReaderConnection.Event) -> Void, orReceipt id: String? = nil
    ) -> Bool {
        let deadline = ContinuousClock.now + limit
        while true {
            var arrived: [String] = []
            connection.serve(milliseconds: done() ? 0 : 20) { event in
                if case .message(_, let payload, _) = event { arrived.append(String(decoding: payload, as: UTF8.self)) }
                body(event)
            }
            for text in arrived {
                guard let id = Self.member("id", of: text) else { continue }
                receipts[id, default: []].append(text)
                receiptOrder.append(id)
            }
            if done() { return true }
            if let id, receipts[id] != nil { return true }
            if ContinuousClock.now > deadline { return false }
        }
    }

    static func member(_ name: String, of json: String) -> String? {
        let object = try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
        return object?[name] as? String
    }
}

/// Payloads of the contract's form.
enum Payload {
    static func now() -> String { ISO8601DateFormatter().string(from: Date()) }

    static func report(
        _ id: String, readings: String = #"{"kind":"spo2","value":97,"unit":"%"}"#, takenAt: String? = nil
    )
        -> String
    {
        #"{"id":"\#(id)","taken_at":"\#(takenAt ?? now())","readings":[\#(readings)]}"#
    }
}
