/// What a broker says became of a packet: an MQTT 5 reason code (section 2.4 of the OASIS standard), or a return code
/// of MQTT 3.1.1, which has fewer. Codes from 0x80 are refusals.
public struct ReasonCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// libmosquitto hands codes over as int; what doesn't fit in a byte is no code of the protocol.
    init(_ code: Int32) { rawValue = UInt8(exactly: code) ?? 0x80 }

    public static let success = ReasonCode(rawValue: 0x00)
    /// In a SUBACK; its number is the QoS.
    public static let grantedQoS1 = ReasonCode(rawValue: 0x01)
    public static let unspecified = ReasonCode(rawValue: 0x80)
    public static let notAuthorized = ReasonCode(rawValue: 0x87)
    public static let sessionTakenOver = ReasonCode(rawValue: 0x8E)

    public var isRefusal: Bool { rawValue >= 0x80 }

    /// The number, and the standard's name of those that a configuration can provoke: `0x87 not authorized`.
    public var description: String {
        let digits = String(rawValue, radix: 16, uppercase: true)
        let number = "0x" + String(repeating: "0", count: 2 - digits.count) + digits
        return name.map { "\(number) \($0)" } ?? number
    }

    private var name: String? {
        switch rawValue {
        case 0x84, 0x01: "unsupported protocol version"
        case 0x85, 0x02: "client identifier not valid"
        case 0x88, 0x03: "server unavailable"
        case 0x86, 0x04: "bad user name or password"
        case 0x87, 0x05: "not authorized"
        case 0x89: "server busy"
        case 0x8A: "banned"
        case 0x8E: "session taken over"
        case 0x95: "packet too large"
        case 0x97: "quota exceeded"
        case 0x9F: "connection rate exceeded"
        default: nil
        }
    }
}
