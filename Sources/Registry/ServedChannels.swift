public import Clinical

/// The channels that the configuration of this instance can serve beside webhooks, which need nothing of it.
public struct ServedChannels: Hashable, Sendable {
    /// Sites whose clinical alerts are published for a ward display.
    public enum Displays: Hashable, Sendable {
        case none
        case all
        case of(Set<Identifier>)
    }

    /// `delivery.smtp` is there.
    public var email: Bool
    /// `delivery.sms` is there.
    public var sms: Bool
    public var displays: Displays

    public init(email: Bool = false, sms: Bool = false, displays: Displays = .none) {
        self.email = email
        self.sms = sms
        self.displays = displays
    }

    public func hasDisplay(_ site: Identifier) -> Bool {
        switch displays {
        case .none: false
        case .all: !Synthetic.isSynthetic(site)
        case .of(let sites): sites.contains(site)
        }
    }

    /// Whether there is any way to tell this person of an alert.
    public func reach(_ person: CareManager) -> Bool {
        person.webhook != nil || email && person.email != nil || sms && person.mobile != nil
    }
}
