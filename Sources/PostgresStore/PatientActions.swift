public import Alerting
public import Clinical
public import Ingestion

/// What a care manager does about a patient that leaves the registry as it is, each in one transaction with the patient's
/// history, in the page's role: row-level security says whether it may be done. One thread.
public final class PatientActions {
    private var connection: PostgresConnection

    private static let typed = Statement(
        name: "web_typed_outcome",
        sql: "SELECT outcome, reason FROM homeward.typed_report WHERE id = $1::uuid AND taken_in_at IS NOT NULL")

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("patient-actions"))
    }

    public func perform(
        _ event: PatientEventRequest, also addition: PatientEventAddition? = nil, within session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<PatientActionOutcome> {
        do {
            try PatientEventWriting.begin(session, &connection)
            let verdict = try PatientEventWriting.write(event, &connection)
            var outcome = PatientActionOutcome.done
            if case .new(let viewer) = verdict, let addition {
                outcome = try addition.write(event, viewer, &connection)
            }
            let end: StaticString = outcome == .done ? "COMMIT" : "ROLLBACK"
            _ = try connection.query(end, doing: "acting for the page")
            return switch verdict {
            case .signedOut: .signedOut
            case .notThere: .notThere
            case .before: .seen(.doneBefore)
            case .new: .seen(outcome)
            }
        } catch {
            // Whatever was begun, and the role, end with the connection.
            connection.close()
            throw error
        }
    }

    /// What became of a report that was typed in; nil: it has not been taken in yet.
    public func outcome(ofTyped form: FormID) throws(StoreFailure) -> (outcome: String, reason: String?)? {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add((form.high, form.low))
        let result = try connection.run(Self.typed, parameters, doing: "reading what became of a typed report")
        return result.text(0, 0).map { ($0, result.text(0, 1)) }
    }
}

/// What is written beside an event of a patient's history, in its transaction and in the page's role.
public enum PatientEventAddition: Sendable {
    /// `due` is a wall clock's time at the viewer's site, checked by the caller.
    case followUp(due: String, note: String)
    case followedUp(FormID)
    /// A report for the pipeline, of the patient's reader that stands for what is told.
    case typedReport(device: Identifier, source: String, payload: [UInt8])

    private static let setFollowUp = Statement(
        name: "web_follow_up",
        sql: """
            INSERT INTO homeward.follow_up (id, site, patient, due_at, note, set_by)
            SELECT $1::uuid, v.site, $2::text, $3::text::timestamp AT TIME ZONE $4::text, $5::text, v.care_manager
            FROM homeward.web_viewer() v
            WHERE $3::text::timestamp AT TIME ZONE $4::text BETWEEN now() AND now() + interval '1 year'
            """)
    private static let endFollowUp = Statement(
        name: "web_followed_up",
        sql: """
            UPDATE homeward.follow_up SET done_at = now(), done_by = $3::text
            WHERE id = $1::uuid AND patient = $2::text AND done_at IS NULL
            """)
    private static let type = Statement(
        name: "web_typed_report",
        sql: """
            INSERT INTO homeward.typed_report (id, site, patient, device, care_manager, source, payload)
            SELECT $1::uuid, v.site, $2::text, $3::text, v.care_manager, $4::text, $5::bytea
            FROM homeward.web_viewer() v
            """)

    func write(
        _ event: PatientEventRequest, _ viewer: Viewer, _ connection: inout PostgresConnection
    ) throws(StoreFailure) -> PatientActionOutcome {
        var parameters = PostgresParameters()
        switch self {
        case .followUp(let due, let note):
            parameters.add((event.form.high, event.form.low))
            parameters.add(event.patient.description)
            parameters.add(due)
            parameters.add(viewer.timeZone)
            parameters.add(note)
            let count = try connection.run(Self.setFollowUp, parameters, doing: "setting a follow-up").affectedRows
            return count == 1 ? .done : .refused("a follow-up must lie ahead, within a year")
        case .followedUp(let id):
            parameters.add((id.high, id.low))
            parameters.add(event.patient.description)
            parameters.add(viewer.careManager.description)
            let count = try connection.run(Self.endFollowUp, parameters, doing: "ending a follow-up").affectedRows
            return count == 1 ? .done : .doneBefore
        case .typedReport(let device, let source, let payload):
            parameters.add((event.form.high, event.form.low))
            parameters.add(event.patient.description)
            parameters.add(device.description)
            parameters.add(source)
            parameters.add(payload)
            _ = try connection.run(Self.type, parameters, doing: "keeping a typed report")
            return .done
        }
    }
}
