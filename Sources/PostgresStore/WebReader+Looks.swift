public import Alerting
internal import Clinical
public import Ingestion

/// Looks that find nobody in particular, in the read audit.
extension WebReader {
    private static let search = Statement(
        name: "web_note_search", sql: "SELECT homeward.note_search($1::text, $2::int4 = 0)")
    private static let refusal = Statement(name: "web_note_refusal", sql: "SELECT homeward.note_refusal($1::text)")

    /// The worklist is searched by these words, of which 200 characters are recorded; what the page asks for by itself once
    /// in ten minutes. Nothing when the session has ended.
    public func searched(_ words: String, isActivity: Bool, _ session: SessionToken) throws(StoreFailure) {
        _ = try within(session, isActivity: isActivity) { _, reader throws(StoreFailure) -> Bool in
            var parameters = PostgresParameters()
            parameters.add(words.replacing("\0", with: ""))
            parameters.add(Int32(isActivity ? 1 : 0))
            _ = try reader.connection.run(Self.search, parameters, doing: "recording a search")
            return true
        }
    }

    /// A patient who is not there for whoever asks.
    func refuse(_ patient: Identifier) throws(StoreFailure) {
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        _ = try connection.run(Self.refusal, parameters, doing: "recording a refusal")
    }
}
