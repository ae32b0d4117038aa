public import Clinical

/// Who is told of a site's alerts of one class and severity, step by step.
public struct EscalationPath: Hashable, Sendable {
    public enum When: String, CaseIterable, Sendable {
        case always
        case inHours = "in-hours"
        case outOfHours = "out-of-hours"
    }

    public enum AlertClass: String, CaseIterable, Sendable, Codable {
        case clinical
        case technical
    }

    public var site: Identifier
    public var alertClass: AlertClass
    public var severity: Severity
    public var when: When
    public var steps: [EscalationStep]

    public init(
        site: Identifier, alertClass: AlertClass, severity: Severity, when: When, steps: [EscalationStep]
    ) {
        self.site = site
        self.alertClass = alertClass
        self.severity = severity
        self.when = when
        self.steps = steps
    }

    /// The path of a site that has none of its own: key worker at once, team leads after 15 min for red and 4 h for
    /// everything else (outside contract, section 6).
    public static func standard(site: Identifier, alertClass: AlertClass, severity: Severity) -> EscalationPath {
        let leads = EscalationStep(to: .teamLead, after: severity == .red ? .minutes(15) : .hours(4))
        return EscalationPath(
            site: site, alertClass: alertClass, severity: severity, when: .always,
            steps: [EscalationStep(to: .keyWorker, after: .minutes(0)), leads])
    }
}

/// One step: to whom, and how long after the alert was raised.
public struct EscalationStep: Hashable, Sendable {
    public enum Recipient: Hashable, Sendable, CustomStringConvertible {
        case keyWorker
        case teamLead
        case careManager(Identifier)

        /// As an enrolment file has it.
        public var description: String {
            switch self {
            case .keyWorker: "key-worker"
            case .teamLead: "team-lead"
            case .careManager(let code): code.description
            }
        }
    }

    public var to: Recipient
    public var after: Interval

    public init(to: Recipient, after: Interval) {
        self.to = to
        self.after = after
    }
}
