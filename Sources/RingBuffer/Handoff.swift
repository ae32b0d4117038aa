internal import Synchronization

/// Carries one value that can't be copied, such as an end of a ring, into the closure of a thread. A `@Sendable`
/// closure can't consume what it captures; it can capture this and take the value out.
public final class Handoff<Value: ~Copyable & Sendable>: Sendable {
    private let held: Mutex<Value?>

    public init(_ value: consuming Value) { held = Mutex(value) }

    /// The value, once; traps when it has been taken already. A value never taken is destroyed with this object.
    public func take() -> Value {
        guard let value = held.withLock({ held in held.take() }) else {
            preconditionFailure("the value has been taken already")
        }
        return value
    }
}
