public import Alerting
public import Clinical
internal import Cryptography
internal import Ingestion

/// Something that a care manager does about a patient, as the patient's history keeps it.
public struct PatientEventRequest: Sendable {
    public var form: FormID
    public var patient: Identifier
    /// Lower-case words joined by hyphens: `call`, `discharge`.
    public var kind: String
    public var note: String?
    /// A JSON object.
    public var detail: String

    public init(form: FormID, patient: Identifier, kind: String, note: String? = nil, detail: String = "{}") {
        self.form = form
        self.patient = patient
        self.kind = kind
        self.note = note
        self.detail = detail
    }
}

/// Writes what a session's care manager does, as the page's role: row-level security says whether they may.
enum PatientEventWriting {
    enum Verdict {
        case signedOut
        /// No such patient, or none for this viewer, or one who may only look.
        case notThere
        /// This form was sent before: nothing was written.
        case before(Viewer)
        case new(Viewer)
    }

    private static let insert = Statement(
        name: "web_patient_event",
        sql: """
            WITH v AS (
                SELECT care_manager, role, site FROM homeward.web_viewer()
            ), may AS (
                SELECT p.code FROM homeward.patient p, v WHERE p.code = $2::text AND v.role <> 'read-only'
            ), new AS (
                INSERT INTO homeward.patient_event (id, site, patient, care_manager, kind, note, detail)
                SELECT $1::uuid, v.site, may.code, v.care_manager, $3::text, $4::text, $5::text::jsonb FROM may, v
                ON CONFLICT (id) DO NOTHING
                RETURNING id
            )
            SELECT EXISTS (SELECT FROM may), EXISTS (SELECT FROM new)
            """)

    /// In a transaction of the caller's that has taken on the page's role in the name of the session.
    static func write(
        _ event: PatientEventRequest, _ connection: inout PostgresConnection
    ) throws(StoreFailure) -> Verdict {
        guard let viewer = try WebReader.viewer(&connection) else { return .signedOut }
        var parameters = PostgresParameters()
        parameters.add((event.form.high, event.form.low))
        parameters.add(event.patient.description)
        parameters.add(event.kind)
        parameters.add(optional: event.note)
        parameters.add(event.detail)
        let result = try connection.run(insert, parameters, doing: "writing what was done about a patient")
        guard result.boolean(0, 0) == true else { return .notThere }
        return result.boolean(0, 1) == true ? .new(viewer) : .before(viewer)
    }

    /// Begins a transaction as the page's role, in the name of the session.
    static func begin(_ session: SessionToken, _ connection: inout PostgresConnection) throws(StoreFailure) {
        try connection.startCheckedCall()
        _ = try connection.query("BEGIN; SET LOCAL synchronous_commit = on", doing: "acting for the page")
        var parameters = PostgresParameters()
        parameters.add(hexadecimal(sha256(session.bytes)))
        try WebReader.enter(parameters, &connection)
    }
}
