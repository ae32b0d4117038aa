/// Why a ring could not be made. Nothing is left behind: no slot was made and no descriptor stays open.
public struct RingError: Error, Equatable, CustomStringConvertible {
    public enum Code: Equatable, Sendable {
        /// The capacity is not a power of two of at least 1.
        case capacityNotPowerOfTwo
        /// The capacity is over `RingError.largestCapacity`.
        case capacityTooLarge
        /// The kernel refused an eventfd; most often EMFILE, too many open descriptors.
        case eventDescriptor(errno: Int32)
    }

    /// The largest capacity that a ring accepts, in slots: 2^24.
    public static let largestCapacity = 1 << 24

    public let code: Code

    init(_ code: Code) { self.code = code }

    public var description: String {
        switch code {
        case .capacityNotPowerOfTwo: "the ring's capacity is not a power of two"
        case .capacityTooLarge: "the ring's capacity is over \(RingError.largestCapacity) slots"
        case .eventDescriptor(let errno): "no eventfd for the ring (errno \(errno))"
        }
    }
}
