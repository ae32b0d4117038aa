import Formats

/// Whether the daemon can do its work now: what `/readyz` says.
public struct Readiness: Hashable, Sendable {
    /// Connected to the MQTT broker.
    public var broker: Bool
    /// Connected to PostgreSQL.
    public var database: Bool
    /// What else is in the way, each a fixed code or sentence without patient data.
    public var others: [String]

    public init(broker: Bool, database: Bool, others: [String] = []) {
        self.broker = broker
        self.database = database
        self.others = others
    }

    public var isReady: Bool { broker && database && others.isEmpty }

    /// `{"ready":false,"broker":"connected","database":"disconnected","problems":[]}`
    var json: String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("ready")
        writer.value(isReady)
        writer.name("broker")
        writer.value(broker ? "connected" : "disconnected")
        writer.name("database")
        writer.value(database ? "connected" : "disconnected")
        writer.name("problems")
        writer.beginArray()
        for other in others { writer.value(other) }
        writer.endArray()
        writer.endObject()
        return writer.text
    }
}
