internal import CLinux
internal import Glibc
public import Synchronization

/// Where one end of the ring sleeps: a flag that says so, and the eventfd that wakes it.
///
/// The protocol that loses no wake-up, in numbered steps. The end that waits:
/// - **P1** stores `parked` = true;
/// - **P2** looks again: `failed`, then `ended`, then the position of the cursor ahead;
/// - **P3** if there is something to do, stores `parked` = false and does not sleep;
/// - **P4** otherwise sleeps until the eventfd is readable;
/// - **P5** reads the eventfd back to 0, then looks again, and begins anew at P1 if there is nothing;
/// - **P6** on a timeout stores `parked` = false and looks one last time.
///
/// The end that moves a cursor:
/// - **S1** stores the position; **E1** at its end, after its last S1, it stores `ended` instead;
/// - **S2** loads `parked` of the end behind it, and is through if that is false;
/// - **S3** exchanges `parked` for false, and is through if another look had already cleared it;
/// - **S4** writes the eventfd.
///
/// The end that fails: **F1** stores `failed`; **F2** writes all eventfds, parked or not.
///
/// Why none is lost: all of P1, P2, S1, S2, E1 and F1 are sequentially consistent, so they have one order. If P2 comes
/// after S1 it sees the new position; if it comes before, P1 comes before S2 as well, which sees the flag, and the
/// token of S4 waits in the eventfd however late P4 is. Likewise with E1 for S1. With F1, F2 leaves a token in any
/// case. A token may be left over (S4 after P3): it costs one look too many, never a wake-up. No fences:
/// ThreadSanitizer does not model them.
///
/// Tests/RingModel/ring.pml has all this as a model, which `deploy/verify-ring.sh` checks; a comment `Model: …` at an
/// access names its step there.
@usableFromInline
final class ParkingSpot: Sendable {
    private let leading = InlineArray<128, UInt8>(repeating: 0)
    /// Written by the end that waits here (P1, P3, P6) and cleared by the end that wakes it (S3).
    @usableFromInline let parked = Atomic<Bool>(false)
    private let trailing = InlineArray<128, UInt8>(repeating: 0)

    @usableFromInline let descriptor: Int32

    init() throws(RingError) {
        let opened = linux_eventfd_open()
        guard opened >= 0 else { throw RingError(.eventDescriptor(errno: -opened)) }
        descriptor = opened
    }

    deinit { close(descriptor) }

    /// S2, and S3 and S4 where the end that waits here is parked. Called after S1 or E1.
    @inlinable
    func wakeIfParked() {
        // S2: sequentially consistent, so that it can't be ordered before S1.
        if parked.load(ordering: .sequentiallyConsistent) { wake() }  // Model: see_parked
    }

    @usableFromInline
    func wake() {
        // S3: the exchange lets one S4 through for each P1.
        if parked.exchange(false, ordering: .sequentiallyConsistent) {  // Model: take_parked
            linux_eventfd_signal(descriptor)  // S4. Model: signal
        }
    }

    /// F2: leaves a token whether the end is parked or not, since it may sleep in a `poll` of its own.
    func wakeInAnyCase() { linux_eventfd_signal(descriptor) }  // Model: signal_any

    @inlinable
    func arm() {
        // P1: sequentially consistent, so that P2 can't be ordered before it.
        parked.store(true, ordering: .sequentiallyConsistent)  // Model: park
    }

    @inlinable
    func disarm() {
        // P3 and P6. If S3 was quicker its token stays in the eventfd and costs one look too many.
        parked.store(false, ordering: .sequentiallyConsistent)  // Model: unpark
    }

    /// P5: takes the token; the caller looks again afterwards.
    @usableFromInline
    func drain() { linux_eventfd_drain(descriptor) }  // Model: drain_token

    /// P4 and P5. False when `deadline` (monotonic nanoseconds; nil: never) has passed and nothing woke us.
    /// True may be spurious (a token left over, a signal): the caller looks again.
    @usableFromInline
    func sleep(until deadline: Int64?) -> Bool {
        var milliseconds: Int32 = -1
        if let deadline {
            let left = max(0, deadline - linux_monotonic_nanoseconds())
            milliseconds = Int32(clamping: (left + 999_999) / 1_000_000)
        }
        let ready = linux_poll_readable(descriptor, milliseconds)  // Model: sleep
        if ready > 0 { drain() }
        return ready != 0
    }

    /// The monotonic time `milliseconds` from now; nil for a negative number, which stands for no deadline.
    @usableFromInline
    static func deadline(milliseconds: Int32) -> Int64? {
        milliseconds < 0 ? nil : linux_monotonic_nanoseconds() + Int64(milliseconds) * 1_000_000
    }
}
