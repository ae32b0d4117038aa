import Ingestion

/// Messages that were read and not removed yet, oldest first, each with where it ends.
struct WaitingMessages {
    struct Place {
        var segment: UInt64
        /// Of the byte after the record.
        var end: Int
    }

    private var messages: [Message] = []
    private var places: [Place] = []
    private var head = 0

    var count: Int { messages.count - head }

    /// Of the oldest.
    var firstSegment: UInt64? { count == 0 ? nil : places[head].segment }

    mutating func append(_ message: Message, place: Place) {
        messages.append(message)
        places.append(place)
    }

    func first(_ limit: Int) -> [Message] { Array(messages[head..<head + min(limit, count)]) }

    /// Takes the oldest off and answers where the last of them ended.
    mutating func removeFirst(_ number: Int) -> Place? {
        let number = min(number, count)
        guard number > 0 else { return nil }
        head += number
        let place = places[head - 1]
        // Half of it gone: moving what is left costs no more than what was removed did.
        if head * 2 >= messages.count {
            messages.removeFirst(head)
            places.removeFirst(head)
            head = 0
        }
        return place
    }
}
