import RingBuffer
import Testing

@Test func capacityMustBeAPowerOfTwo() {
    for capacity in [-4, 0, 3, 12, 1023] {
        #expect(throws: RingError.self) {
            _ = try RingEnds(capacity: capacity) { _ in 0 }
        }
    }
}
