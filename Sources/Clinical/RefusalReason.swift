/// Why a report, or one reading of it, is in quarantine. The raw value is the name everywhere: receipt, view,
/// metric label, log and test. Declared in the order of precedence of the outside contract.
public enum RefusalReason: String, CaseIterable, Sendable, Hashable {
    case badTopic = "bad-topic"
    case tooLarge = "too-large"
    case malformed
    case empty
    case conflict
    case retained
    case unknownDevice = "unknown-device"
    case clockFuture = "clock-future"
    case tooOld = "too-old"
    case unpaired
    case unknownKind = "unknown-kind"
    case unknownCode = "unknown-code"
    case missingUnit = "missing-unit"
    case unknownUnit = "unknown-unit"
    case ambiguousUnit = "ambiguous-unit"
    case implausible
    case inconsistent
    case controlSolution = "control-solution"
    /// The bytes twice ended the daemon while they were decoded or judged; kept unread.
    case crashed
    /// PostgreSQL refused the row although decoding let it through.
    case unstorable
}
