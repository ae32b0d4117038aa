internal import Glibc

/// Why a call to the broker failed. Carries codes only: no topic, no payload, no name.
public struct MQTTError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The field's word for it, the same in log, metric and test.
    public enum Reason: String, Sendable {
        case outOfMemory = "out-of-memory"
        case protocolViolation = "protocol-violation"
        case invalidArgument = "invalid-argument"
        case notConnected = "not-connected"
        case connectionRefused = "connection-refused"
        case connectionLost = "connection-lost"
        case tls
        case payloadTooLarge = "payload-too-large"
        case notSupported = "not-supported"
        case addressLookup = "address-lookup"
        case keepaliveExpired = "keepalive-expired"
        case system = "system-error"
        /// The broker did not answer CONNECT or SUBSCRIBE, or did not take our bytes, in time.
        case timeout
        /// Closed by us, because what was read was not made durable in time.
        case heldTooLong = "held-too-long"
        /// Closed by us, because another instance may be reading.
        case stoodAside = "stood-aside"
        /// As many publications as are allowed wait for their PUBACK.
        case windowFull = "window-full"
        case library = "library-error"
    }

    public let reason: Reason
    /// libmosquitto's return code; 0 where the error is our own.
    public let libraryCode: Int32
    /// errno right after the failed call; the resolver's code for `addressLookup`; 0 where there is none.
    public let systemCode: Int32
    /// What the broker said, in CONNACK or DISCONNECT.
    public let brokerCode: ReasonCode?

    public init(_ reason: Reason, libraryCode: Int32 = 0, systemCode: Int32 = 0, brokerCode: ReasonCode? = nil) {
        self.reason = reason
        self.libraryCode = libraryCode
        self.systemCode = systemCode
        self.brokerCode = brokerCode
    }

    public var description: String {
        var text = reason.rawValue
        if libraryCode != 0 { text += ", libmosquitto \(libraryCode)" }
        if systemCode != 0 {
            text += ", errno \(systemCode)"
            // The resolver's codes are not errno's.
            if reason != .addressLookup, let words = unsafe strerror(systemCode) {
                text += " \(unsafe String(cString: words))"
            }
        }
        if let brokerCode { text += ", broker \(brokerCode)" }
        return text
    }
}
