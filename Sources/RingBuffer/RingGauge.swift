internal import Synchronization

/// Where the cursors of a ring stand, for metrics. Any thread may read it at any time; it disturbs nobody and does not
/// keep the slots alive.
///
/// Each value is a moment of its own. Read `durable` before `decoded` before `received`, and none is greater than the
/// next.
public struct RingGauge: Sendable {
    private let control: RingControl

    init(control: RingControl) { self.control = control }

    /// Slots in the ring.
    public var capacity: Int { control.capacity }

    /// Slots ever published by the producer.
    public var received: Int { control.received.position.load(ordering: .acquiring) }  // Model: gauge_received

    /// Slots ever published by the decoder.
    public var decoded: Int { control.decoded.position.load(ordering: .acquiring) }  // Model: gauge_decoded

    /// Slots ever published by the committer.
    public var durable: Int { control.durable.position.load(ordering: .acquiring) }  // Model: gauge_durable

    /// The share of the slots that are in use, from 0 to 1: published and not yet released. At 1 reading has stopped.
    public var occupancy: Double {
        // `released` first: it is never ahead of a later `received`. The two loads are not one moment, hence the bound.
        let released = control.released.position.load(ordering: .acquiring)  // Model: gauge_released
        return min(1, Double(received - released) / Double(capacity))
    }
}
