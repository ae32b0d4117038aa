import Foundation

/// A receipt as a reader understands it.
struct Receipt: Decodable, Sendable, Equatable {
    struct Refused: Decodable, Sendable, Equatable {
        var reason: String
    }

    var id: String
    var outcome: String
    var reason: String?
    var refused: [Refused]?
    /// The patient is asked to measure again.
    var repeatAfterMinutes: Int?

    private enum CodingKeys: String, CodingKey {
        case id
        case outcome
        case reason
        case refused
        case repeatAfterMinutes = "repeat_after_minutes"
    }

    /// Nil where it is no receipt: the reader goes on as if nothing had come.
    init?(payload: [UInt8]) {
        guard let receipt = try? JSONDecoder().decode(Receipt.self, from: Data(payload)) else { return nil }
        self = receipt
    }
}
