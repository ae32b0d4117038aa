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

    public var description: String {
        let digits = String(rawValue, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: 2 - digits.count) + digits
    }
}
