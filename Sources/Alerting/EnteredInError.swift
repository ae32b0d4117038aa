public import Clinical

/// A reading that somebody marked entered in error. It stays where it is; nothing is judged by it any more.
public struct EnteredInError: Hashable, Sendable {
    public var key: ReportKey
    /// Its place in the report, counted from 0 as in a receipt.
    public var reading: Int
    public var kind: Kind
    public var at: Instant
    /// The care manager whose word it is.
    public var by: String
    /// Who was signed in: the operating system's user, or the care manager himself at the page.
    public var actor: String
    public var reason: String

    public init(
        key: ReportKey, reading: Int, kind: Kind, at: Instant, by: String, actor: String, reason: String
    ) {
        self.key = key
        self.reading = reading
        self.kind = kind
        self.at = at
        self.by = by
        self.actor = actor
        self.reason = reason
    }
}

/// What is left of an alert's causes when the readings that were entered in error are left out.
public struct RemainingCauses: Hashable, Sendable {
    /// The worst that the others are; nil: there are none.
    public var severity: Severity?
    /// The worst measure of the others, as `Episode.worst`.
    public var worst: Double?
    /// Likewise, of those that had come when the alert was acknowledged.
    public var worstAcknowledged: Double?
    /// The reading did not cause the alert, it ended it: by being back in range.
    public var isEndGone: Bool

    public init(
        severity: Severity?, worst: Double? = nil, worstAcknowledged: Double? = nil, isEndGone: Bool = false
    ) {
        self.isEndGone = isEndGone
        self.severity = severity
        self.worst = worst
        self.worstAcknowledged = worstAcknowledged
    }
}

extension Episode {
    /// `worst` of an alert that is as severe as it is only because of readings that were entered in error: the next
    /// reading of that severity speaks again, whatever its measure. Lower than any measure.
    public static let voided = -Double.greatestFiniteMagnitude

    /// Says in the alert that one of its readings was entered in error. An amber that nothing else caused ends; a red
    /// never closes itself. `explanation` is JSON.
    public mutating func annotate(
        _ correction: EnteredInError, leaving left: RemainingCauses, explanation: String
    ) -> EpisodeEvent {
        let subject = left.isEndGone ? "The reading that ended it" : "Its reading"
        var sentence = "\(subject) was marked entered in error by \(correction.by) because \(correction.reason)"
        let stands = left.severity.map { $0 >= severity } ?? false
        if state == .resolved, left.isEndGone {
            sentence += "; the alert is not opened again by that."
        } else if state == .resolved {
            sentence += "; the alert had ended before."
        } else if stands {
            sentence += "; other readings still cause this alert."
        } else if severity < .red, left.severity == nil {
            sentence += "; nothing else caused this alert, which ends as entered in error."
        } else if let severity = left.severity {
            sentence +=
                "; what is left would only make an alert of \(severity.rawValue), and a person must resolve this one."
        } else {
            sentence += "; nothing else caused this alert, which stays open until a person resolves it."
        }
        if state != .resolved {
            if severity < .red, left.severity == nil { state = .resolved }
            worst = stands ? left.worst : Self.voided
            if worstAcknowledged != nil { worstAcknowledged = stands ? left.worstAcknowledged : nil }
        }
        summary += " " + sentence
        revision += 1
        return EpisodeEvent(
            alert: id, revision: revision, transition: .enteredInError, severity: severity, at: correction.at,
            report: correction.key,
            actor: correction.by, summary: sentence, explanation: explanation)
    }
}
