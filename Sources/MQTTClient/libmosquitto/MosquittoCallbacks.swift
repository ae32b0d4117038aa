/// What libmosquitto tells one client, kept for its owner to look at after each call. Everything happens on the
/// thread that reads and writes the handle; the handle holds this object until it is destroyed.
class MosquittoCallbacks {
    struct ConnectAnswer {
        let code: ReasonCode
        let sessionPresent: Bool
    }

    /// CONNACK, once per connection.
    var connectAnswer: ConnectAnswer?
    /// The code of the broker's DISCONNECT, or libmosquitto's of a connection that broke.
    var disconnectCode: Int32?
    /// The code of each SUBACK, in order; one for each SUBSCRIBE.
    var granted: [ReasonCode] = []
    /// PUBACKs since the owner looked last, in the order they came.
    var acknowledged: [(packet: Int32, code: ReasonCode)] = []
    /// Counts every call, so that a read that brought something is told from one that found nothing.
    private(set) var calls = 0

    /// One PUBLISH. The spans stand over libmosquitto's memory and end with the call.
    func received(topic: Span<UInt8>, payload: Span<UInt8>, retained: Bool) {}

    /// Forgets what the last connection said.
    func reset() {
        connectAnswer = nil
        disconnectCode = nil
        granted.removeAll(keepingCapacity: true)
        acknowledged.removeAll(keepingCapacity: true)
    }

    func note() { calls &+= 1 }
}
