/// (device, report id): the idempotency key of the outside contract.
public struct ReportKey: Hashable, Sendable, BitwiseCopyable {
    public var device: Identifier
    public var report: Identifier

    public init(device: Identifier, report: Identifier) {
        self.device = device
        self.report = report
    }
}
