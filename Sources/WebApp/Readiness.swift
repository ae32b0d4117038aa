import Formats

/// Whether the daemon can do its work now: what `/readyz` says.
public struct Readiness: Hashable, Sendable {
    /// Connected to the MQTT broker.
    public var broker: Bool
    /// Connected to PostgreSQL.
    public var database: Bool
    /// What else is in the way, each a fixed code or sentence without patient data.
    public var others: [String]

    /// Nil where there are no other instances to speak of.
    public var lease: Lease?

    /// Which of several instances reads and judges.
    public struct Lease: Hashable, Sendable {
        public enum State: String, Sendable {
            /// The lease could not be read yet.
            case undecided
            case held
            /// Another instance holds it; this one takes over when that ends.
            case standby
        }

        public var state: State
        /// The holder's machine, as last seen.
        public var holder: String?
        public var epoch: Int64?
        /// The machines that wait.
        public var standbys: String?
        /// After a restore, what was due long before waits for a person's word.
        public var isHeldByRestore: Bool

        public init(
            state: State, holder: String?, epoch: Int64?, standbys: String? = nil, isHeldByRestore: Bool = false
        ) {
            self.state = state
            self.holder = holder
            self.epoch = epoch
            self.standbys = standbys
            self.isHeldByRestore = isHeldByRestore
        }
    }

    public init(broker: Bool, database: Bool, others: [String] = [], lease: Lease? = nil) {
        self.broker = broker
        self.database = database
        self.others = others
        self.lease = lease
    }

    public var isReady: Bool { broker && database && others.isEmpty }

    /// `{"ready":false,"broker":"connected","database":"disconnected","problems":[]}`, and with a lease
    /// `"lease":{"state":"standby","holder":"a.example.org","epoch":7}` behind it.
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
        if let lease { Self.write(lease, to: &writer) }
        writer.endObject()
        return writer.text
    }

    private static func write(_ lease: Lease, to writer: inout JSONWriter) {
        writer.name("lease")
        writer.beginObject()
        writer.name("state")
        writer.value(lease.state.rawValue)
        if let holder = lease.holder {
            writer.name("holder")
            writer.value(holder)
        }
        if let epoch = lease.epoch {
            writer.name("epoch")
            writer.value(epoch)
        }
        if let standbys = lease.standbys {
            writer.name("standby")
            writer.value(standbys)
        }
        if lease.isHeldByRestore {
            writer.name("restored")
            writer.value(true)
        }
        writer.endObject()
    }
}
