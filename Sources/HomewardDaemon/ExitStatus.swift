/// How a command ends: the numbers of sysexits.h.
public struct ExitStatus: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let success = ExitStatus(rawValue: 0)
    /// The command line is wrong.
    public static let usage = ExitStatus(rawValue: 64)
    /// The input is wrong.
    public static let badData = ExitStatus(rawValue: 65)
    /// A server that the command needs is not there.
    public static let unavailable = ExitStatus(rawValue: 69)
    /// A fault of ours.
    public static let software = ExitStatus(rawValue: 70)
    /// The configuration is wrong.
    public static let badConfiguration = ExitStatus(rawValue: 78)
}

/// The version that `--version` prints.
public enum HomewardVersion {
    public static let current = "0.1.0"
}
