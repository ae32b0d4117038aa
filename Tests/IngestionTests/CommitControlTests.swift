import Testing

@testable import Ingestion

@Suite struct CommitControlTests {
    /// `/readyz` says what somebody must mend, until a commit succeeds; a server that is away is nothing to mend.
    @Test func whatMustBeMendedIsToldUntilTheNextCommit() {
        let control = CommitControl()
        #expect(control.problem == nil)
        control.note(StoreFailure(kind: .transient, message: "connecting: refused"))
        #expect(control.problem == nil)
        control.note(StoreFailure(kind: .misconfigured, message: "writing reports: no such column"))
        #expect(control.problem == "writing reports: no such column")
        control.note(nil)
        #expect(control.problem == nil)
    }
}
