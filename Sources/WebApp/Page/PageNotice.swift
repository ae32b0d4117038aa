import Alerting
import Clinical

extension PatientPage {
    /// What has just been done, or why it was not.
    struct Notice {
        let words: String
        let isBad: Bool
        /// Whose alert it is by now, and since when.
        private var claim: (holder: String, since: Instant)?

        init(words: String, isBad: Bool) {
            self.words = words
            self.isBad = isBad
        }

        init(_ refusal: AlertActionRefusal) {
            self.init(words: "Not done: \(refusal).", isBad: true)
            if case .isOf(let holder, let since) = refusal { claim = (holder, since) }
        }

        /// In the names of the team and the time of the place.
        func told(_ time: PageTime, _ team: [Identifier: String]) -> String {
            guard let claim else { return words }
            return "Not done: it is \(PatientStanding.name(claim.holder, team))'s since \(time.short(claim.since))."
        }
    }
}
