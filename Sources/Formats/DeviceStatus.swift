public import Clinical

/// What a device, or its last will, says of itself on its status topic.
public struct DeviceStatus: Sendable, Equatable {
    public var online: Bool
    /// Percent, 0 to 100; absent when the device says something else.
    public var battery: Double?
    public var firmware: String?
    /// The device's clock when it said so.
    public var now: Instant?

    public init(online: Bool, battery: Double? = nil, firmware: String? = nil, now: Instant? = nil) {
        self.online = online
        self.battery = battery
        self.firmware = firmware
        self.now = now
    }

    /// Reads a status by the same rules of JSON, size and depth as a report: `state` is required, null counts as
    /// absent, unknown fields are ignored. Throws `.malformed` only. An empty payload, by which MQTT clears a
    /// retained status, is malformed too: the caller looks for it first.
    public static func decode(_ payload: Span<UInt8>) throws(ReportFault) -> DeviceStatus {
        guard payload.count <= ReportDecoder.maximumCount else {
            throw ReportFault(JSONFault(.tooLarge, at: ReportDecoder.maximumCount))
        }
        let value: JSONValue
        do {
            value = try JSONReader.value(payload, maximumDepth: ReportDecoder.maximumDepth)
        } catch {
            throw ReportFault(error)
        }
        guard case .object = value else { throw ReportFault(JSONFault(.notAnObject, at: 0)) }
        var status: DeviceStatus
        switch value[ReportField.state.rawValue] {
        case .string("online"): status = DeviceStatus(online: true)
        case .string("offline"): status = DeviceStatus(online: false)
        case nil: throw malformed(.state, .missing)
        default: throw malformed(.state, .badState)
        }
        switch value[ReportField.battery.rawValue] {
        case nil, .null: break
        case .number(let percent): status.battery = (0...100).contains(percent) ? percent : nil
        default: throw malformed(.battery, .notNumber)
        }
        switch value[ReportField.firmware.rawValue] {
        case nil, .null: break
        case .string(let text): status.firmware = text
        default: throw malformed(.firmware, .notString)
        }
        switch value[ReportField.now.rawValue] {
        case nil, .null: break
        case .string(let text):
            guard let instant = RFC3339.parse(text) else { throw malformed(.now, .badTime) }
            status.now = instant
        default: throw malformed(.now, .notString)
        }
        return status
    }

    private static func malformed(_ field: ReportField, _ problem: ContentFault.Problem) -> ReportFault {
        ReportFault(reason: .malformed, detail: "\(field.rawValue) \(problem.text)")
    }
}
