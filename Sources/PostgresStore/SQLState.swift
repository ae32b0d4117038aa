internal import Ingestion

/// What a SQLSTATE asks of us (design, "errors from PostgreSQL").
enum SQLState {
    /// Nil is a connection that broke without a word.
    static func kind(_ state: String?) -> StoreFailure.Class {
        guard let state else { return .transient }
        switch state {
        case "25006", "55P03": return .transient
        // A row so large that its index entry or tuple does not fit is the row's fault.
        case "54001", "54000": return .poison
        // Our own word: `homeward.hold_lease`.
        case "HW001": return .fenced
        default: break
        }
        switch state.prefix(2) {
        // 25: a session that the server ended while idle in a transaction (25P03). 58, XX: the server's own trouble.
        case "08", "40", "53", "57", "58", "25", "XX": return .transient
        case "22", "23": return .poison
        default: return .misconfigured
        }
    }

    /// The SQLSTATE in a verbose message of a failed connect, for which libpq gives no result to ask:
    /// `… FATAL:  28P01: password authentication failed …`.
    static func inConnectMessage(_ message: String) -> String? {
        for part in message.split(separator: ":") {
            let word = part.drop { $0 == " " }
            let isState =
                word.utf8.count == 5 && part.count > word.count
                && word.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) }
                && word.utf8.contains { (48...57).contains($0) }
            if isState { return String(word) }
        }
        return nil
    }
}
