import Clinical

/// What is known of when somebody last said how conscious a patient is. A NEWS2 score is never complete without it.
struct ConsciousnessWord: Sendable, Equatable {
    /// The newest that is known; nil: none.
    var newest: Instant?
    /// Since then everything that is stored has been looked through; nil: nothing has.
    var searchedSince: Instant?

    mutating func add(_ other: ConsciousnessWord) {
        newest = [newest, other.newest].compactMap(\.self).max()
        searchedSince = [searchedSince, other.searchedSince].compactMap(\.self).min()
    }

    /// Whether it is certain that nobody has said it since `start`.
    func isSilent(since start: Instant) -> Bool {
        guard let searchedSince, searchedSince <= start else { return false }
        return newest.map { $0 < start } ?? true
    }
}

/// What the rules of a batch look back at.
extension BatchProcessor {
    /// What a batch must be given before it can be judged, by patient.
    struct Needs {
        var all: [Identifier: HistoryNeed] = [:]
        /// Those of NEWS2 scores.
        var scores: [Identifier: HistoryNeed] = [:]
    }

    mutating func findNeeds(of draft: inout Draft) -> Needs {
        var needs = Needs()
        for accepted in draft.accepted {
            let plan = plans.plan(for: accepted.patient, in: registry)
            if let need = plan.historyNeeded(for: accepted.report) {
                needs.all.add(need, of: accepted.patient)
                draft.rows.lookedBack.add(need, of: accepted.patient)
            }
            if let need = scoreNeed(accepted, plan, draft) {
                needs.all.add(need, of: accepted.patient)
                needs.scores.add(need, of: accepted.patient)
            }
        }
        return needs
    }

    /// What a report lacks for its NEWS2 score, where that can matter: see `consciousness`.
    private func scoreNeed(_ accepted: AcceptedReport, _ plan: Plan, _ draft: Draft) -> HistoryNeed? {
        guard plan.usesNEWS2 || options.keepsScores else { return nil }
        let report = accepted.report
        let says = report.readings.contains { $0.kind == .consciousness }
        var known = consciousness[accepted.patient] ?? ConsciousnessWord()
        if let word = draft.consciousness[accepted.patient] { known.add(word) }
        // Nearly every report ends here: what it would be completed by is known not to be there. A late one may reach
        // further back than anybody has looked.
        if !options.keepsScores, !says, known.isSilent(since: report.takenAt - plan.news2Window) { return nil }
        return plan.news2HistoryNeeded(for: report)
    }

    /// What was looked for is known from now on, found or not. Only of a patient whose consciousness somebody ever
    /// reported is it worth remembering what a score was looked for in.
    func noteConsciousness(
        in histories: [Identifier: PatientHistory], of needs: Needs, in draft: inout Draft
    ) {
        for (patient, need) in needs.scores {
            let found = histories[patient]?.readings(of: .consciousness).last?.takenAt
            draft.consciousness[patient, default: ConsciousnessWord()].add(
                ConsciousnessWord(newest: found, searchedSince: need.kinds[.consciousness]))
            let newest = draft.consciousness[patient]?.newest ?? consciousness[patient]?.newest
            if newest != nil { draft.rows.lookedBack.add(need, of: patient) }
        }
    }
}

extension [Identifier: HistoryNeed] {
    fileprivate mutating func add(_ need: HistoryNeed, of patient: Identifier) {
        self[patient] = self[patient]?.union(need) ?? need
    }
}
