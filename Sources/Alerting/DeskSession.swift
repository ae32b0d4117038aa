public import Clinical
public import Registry

/// What a cookie holds: 32 random bytes.
public struct SessionToken: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// Nil for other than 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// Not the token: it is as good as a password.
    public var description: String { "a session" }
}

public struct SignInAttempt: Sendable {
    public var careManager: String
    public var password: [UInt8]
    /// Of the authenticator app.
    public var oneTimeCode: String
    /// Where it comes from, as far as that is known: an address, or the network of one.
    public var address: String

    public init(careManager: String, password: [UInt8], oneTimeCode: String, address: String = "unknown") {
        self.careManager = careManager
        self.password = password
        self.oneTimeCode = oneTimeCode
        self.address = address
    }
}

public enum SignInOutcome: Sendable {
    case signedIn(SessionToken)
    /// Nobody of that name, disabled, a wrong password or code, or locked out for a time: nobody is told which.
    case refused
}

/// Whoever is signed in, as the registry has them now.
public struct Viewer: Hashable, Sendable {
    public var careManager: Identifier
    public var role: CareManager.Role
    public var site: Identifier
    public var siteName: String
    /// IANA name.
    public var timeZone: String
    /// Somebody with the right to has approved a version of each pack in use; until then every page says otherwise.
    public var hasApprovedLimits: Bool

    public init(
        careManager: Identifier, role: CareManager.Role, site: Identifier, siteName: String, timeZone: String,
        hasApprovedLimits: Bool = true
    ) {
        self.hasApprovedLimits = hasApprovedLimits
        self.careManager = careManager
        self.role = role
        self.site = site
        self.siteName = siteName
        self.timeZone = timeZone
    }

    public var mayAct: Bool { role != .readOnly }
    public var maySearchAudit: Bool { leads }
    /// Runs the service page, releases what is in quarantine, approves packs, and says who may see a patient.
    public var leads: Bool { role == .teamLead || role == .administrator }
}
