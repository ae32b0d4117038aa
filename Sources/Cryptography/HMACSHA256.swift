import CSodium

/// The HMAC-SHA256 (RFC 2104, FIPS 198-1) of `message` under a key of any length: 32 bytes.
public func hmacSHA256(key: Span<UInt8>, message: Span<UInt8>) -> [UInt8] {
    guard !key.isEmpty else {
        // libsodium wants an address even of an empty key. HMAC pads keys with zeros, so one zero byte is the same key.
        let zero: [UInt8] = [0]
        return hmacSHA256(key: zero.span, message: message)
    }
    var state = crypto_auth_hmacsha256_state()
    var code = [UInt8](repeating: 0, count: Int(crypto_auth_hmacsha256_BYTES))
    unsafe key.withUnsafeBufferPointer { key in
        guard let first = key.baseAddress else { return }
        _ = unsafe crypto_auth_hmacsha256_init(&state, first, key.count)
    }
    unsafe message.withUnsafeBufferPointer { message in
        _ = unsafe crypto_auth_hmacsha256_update(&state, message.baseAddress, UInt64(message.count))
    }
    _ = unsafe crypto_auth_hmacsha256_final(&state, &code)
    // The inner state is as good as the key.
    unsafe sodium_memzero(&state, MemoryLayout<crypto_auth_hmacsha256_state>.size)
    return code
}

/// The HMAC-SHA256 of `message` under a key of any length: 32 bytes.
public func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8] { hmacSHA256(key: key.span, message: message.span) }
