public import Clinical

/// What became of a report, told to its device once PostgreSQL has committed it.
public struct Receipt: Sendable, Equatable {
    public enum Outcome: String, Sendable, CaseIterable { case stored, duplicate, quarantined }

    /// A reading that was refused while the rest of its report was stored.
    public struct Refused: Sendable, Equatable {
        /// Its place in `readings`, counted from 0.
        public var reading: Int
        /// Its kind as sent.
        public var kind: String
        public var reason: RefusalReason

        public init(reading: Int, kind: String, reason: RefusalReason) {
            self.reading = reading
            self.kind = kind
            self.reason = reason
        }
    }

    /// What the pack has to say to the patient about what was measured.
    public struct Advice: Sendable, Equatable {
        public var code: String
        /// In the patient's language.
        public var text: String

        public init(code: String, text: String) {
            self.code = code
            self.text = text
        }
    }

    public var id: Identifier
    public var outcome: Outcome
    /// Given when `outcome` is `quarantined`.
    public var reason: RefusalReason?
    public var refused: [Refused]
    /// When the protocol asks the patient to measure again.
    public var repeatAfterMinutes: Int?
    public var advice: Advice?
    public var receivedAt: Instant

    public init(
        id: Identifier, outcome: Outcome, reason: RefusalReason? = nil, refused: [Refused] = [],
        repeatAfterMinutes: Int? = nil, advice: Advice? = nil, receivedAt: Instant
    ) {
        self.id = id
        self.outcome = outcome
        self.reason = reason
        self.refused = refused
        self.repeatAfterMinutes = repeatAfterMinutes
        self.advice = advice
        self.receivedAt = receivedAt
    }

    /// Appends the receipt's JSON to `bytes`. Fields that are absent or empty are left out.
    public func encode(into bytes: inout [UInt8]) {
        // Taken out of the caller's variable, so that the buffer is not copied.
        var writer = JSONWriter(appendingTo: [])
        writer.exchange(&bytes)
        writer.beginObject()
        writer.name("id")
        writer.value(id)
        writer.name("outcome")
        writer.value(outcome.rawValue)
        if let reason {
            writer.name("reason")
            writer.value(reason.rawValue)
        }
        if !refused.isEmpty {
            writer.name("refused")
            writer.beginArray()
            for entry in refused {
                writer.beginObject()
                writer.name("reading")
                writer.value(entry.reading)
                writer.name("kind")
                writer.value(entry.kind)
                writer.name("reason")
                writer.value(entry.reason.rawValue)
                writer.endObject()
            }
            writer.endArray()
        }
        if let repeatAfterMinutes {
            writer.name("repeat_after_minutes")
            writer.value(repeatAfterMinutes)
        }
        if let advice {
            writer.name("advice")
            writer.beginObject()
            writer.name("code")
            writer.value(advice.code)
            writer.name("text")
            writer.value(advice.text)
            writer.endObject()
        }
        writer.name("received_at")
        writer.value(receivedAt)
        writer.endObject()
        writer.exchange(&bytes)
    }

    /// Reads a receipt, as a device does; nil when `payload` is none. Unknown fields are ignored.
    public init?(_ payload: Span<UInt8>) {
        guard let value = try? JSONReader.value(payload), let id = value["id"]?.string,
            let id = Identifier(id, grammar: .report),
            let outcome = value["outcome"]?.string.flatMap(Outcome.init(rawValue:)),
            let receivedAt = value["received_at"]?.string.flatMap(RFC3339.parse)
        else { return nil }
        self.init(id: id, outcome: outcome, receivedAt: receivedAt)
        reason = value["reason"]?.string.flatMap(RefusalReason.init(rawValue:))
        for entry in value["refused"]?.array ?? [] {
            guard let reading = entry["reading"]?.number.flatMap(Int.init(exactly:)),
                let kind = entry["kind"]?.string,
                let reason = entry["reason"]?.string.flatMap(RefusalReason.init(rawValue:))
            else { return nil }
            refused.append(Refused(reading: reading, kind: kind, reason: reason))
        }
        repeatAfterMinutes = value["repeat_after_minutes"]?.number.flatMap(Int.init(exactly:))
        if let advice = value["advice"], let code = advice["code"]?.string, let text = advice["text"]?.string {
            self.advice = Advice(code: code, text: text)
        }
    }
}
