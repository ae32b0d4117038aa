public import Clinical
import Formats

/// A report as it was stored: what it takes to judge it again.
public struct StoredMessage: Sendable {
    public var key: ReportKey
    public var site: Identifier
    /// Whose it was when it was stored.
    public var patient: Identifier
    public var receivedAt: Instant
    public var raw: [UInt8]
    /// Places of its readings that were marked entered in error.
    public var enteredInError: Set<Int>

    public init(
        key: ReportKey, site: Identifier, patient: Identifier, receivedAt: Instant, raw: [UInt8],
        enteredInError: Set<Int> = []
    ) {
        self.key = key
        self.site = site
        self.patient = patient
        self.receivedAt = receivedAt
        self.raw = raw
        self.enteredInError = enteredInError
    }

    /// As it came.
    public var message: Message {
        Message(
            topic: Array("homeward/v1/\(site)/\(key.device)/report".utf8), payload: raw, receivedAt: receivedAt)
    }
}
