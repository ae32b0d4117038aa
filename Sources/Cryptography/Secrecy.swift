import CSodium

/// Whether both hold the same bytes, in a time that depends on their length alone.
/// Different lengths are unequal at once.
public func equalInConstantTime(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    return unsafe left.withUnsafeBufferPointer { left in
        unsafe right.withUnsafeBufferPointer { right in
            guard let first = left.baseAddress, let second = right.baseAddress else { return true }
            return unsafe sodium_memcmp(first, second, left.count) == 0
        }
    }
}

/// Whether both hold the same bytes, in a time that depends on their length alone.
public func equalInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    equalInConstantTime(left.span, right.span)
}

/// `count` unpredictable bytes from the operating system's generator (`getrandom`). Any thread.
///
/// Traps when `count` is negative or when the system has no generator: a secret that can be guessed is worse than none.
public func randomBytes(_ count: Int) -> [UInt8] {
    precondition(sodiumIsReady, "libsodium could not start")
    var bytes = [UInt8](repeating: 0, count: count)
    unsafe randombytes_buf(&bytes, count)
    return bytes
}

// 0 the first time, 1 after that; -1 when it failed. A global is made once, whichever thread comes first.
let sodiumIsReady = sodium_init() >= 0
