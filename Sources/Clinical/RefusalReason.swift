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

extension RefusalReason {
    /// What a person's release of a report that was held for this reason does.
    public enum Release: Sendable, Hashable {
        /// The reason no longer holds it back. `retained`: a person says that it is wanted. `too-old`: its time stands.
        /// `clock-future`: it counts as taken when it was received, the latest that it can have been.
        case waives
        /// It is judged as if it came now for the first time, with its original time of receipt: something else was
        /// mended meanwhile, as a pairing.
        case judgesAgain
        /// There is nothing to release: it can't be read, or a value in it was refused. Whoever knows what was measured
        /// types it in.
        case nothing
    }

    /// The migration that made `homeward.quarantine_release` has the same list.
    public var release: Release {
        switch self {
        case .retained, .clockFuture, .tooOld: .waives
        case .unknownDevice, .unpaired, .crashed, .unstorable: .judgesAgain
        case .badTopic, .tooLarge, .malformed, .empty, .conflict, .unknownKind, .unknownCode, .missingUnit,
            .unknownUnit,
            .ambiguousUnit, .implausible, .inconsistent, .controlSolution:
            .nothing
        }
    }
}
