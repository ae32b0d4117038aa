public import Clinical

/// One report as a reader has it in its memory, before any attempt to send it.
public struct SimulatedReport: Sendable, Hashable {
    /// Codes of the site and the device: the report's topic.
    public var site: String
    public var device: String
    public var id: String
    /// By the device's clock.
    public var takenAt: Instant
    /// When the reader first has a connection for it: seconds after `takenAt`, or hours for a buffered one.
    public var uploadAt: Instant
    public var sequence: Int64?
    public var readings: [SentReading]
    public var answers: [SentAnswer]
    /// Percent.
    public var battery: Int?
    /// The first receipt gets lost on its way to this reader, which sends the report again.
    public var losesFirstReceipt: Bool

    public init(
        site: String, device: String, id: String, takenAt: Instant, uploadAt: Instant, sequence: Int64? = nil,
        readings: [SentReading], answers: [SentAnswer] = [], battery: Int? = nil, losesFirstReceipt: Bool = false
    ) {
        self.site = site
        self.device = device
        self.id = id
        self.takenAt = takenAt
        self.uploadAt = uploadAt
        self.sequence = sequence
        self.readings = readings
        self.answers = answers
        self.battery = battery
        self.losesFirstReceipt = losesFirstReceipt
    }

    public var topic: String { Self.topic(site: site, device: device, "report") }

    static func topic(site: String, device: String, _ leaf: String) -> String {
        "homeward/v1/\(site)/\(device)/\(leaf)"
    }

    /// The same report as if it were uploaded at `instant`; the delay since it was taken stays.
    func uploaded(at instant: Instant) -> SimulatedReport {
        var moved = self
        moved.takenAt = instant - (uploadAt - takenAt)
        moved.uploadAt = instant
        return moved
    }
}
