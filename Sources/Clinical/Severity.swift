/// How soon somebody must look. Amber: today. Red: now.
public enum Severity: String, CaseIterable, Comparable, Sendable, Hashable, Codable {
    case info
    case amber
    case red

    private var rank: Int {
        switch self {
        case .info: 0
        case .amber: 1
        case .red: 2
        }
    }

    public static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }
}
