internal import CSodium

/// The SHA-256 digest (FIPS 180-4) of `bytes`: 32 bytes. Any thread, any length, never fails.
public func sha256(_ bytes: Span<UInt8>) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Int(crypto_hash_sha256_BYTES))
    unsafe bytes.withUnsafeBufferPointer { message in
        // Its result is always 0; an empty span's nil base is never read.
        _ = unsafe crypto_hash_sha256(&digest, message.baseAddress, UInt64(message.count))
    }
    return digest
}

/// HMAC-SHA-256 (RFC 2104, RFC 4231) of `message` under `key`: 32 bytes. A key may have any length.
public func hmacSHA256(key: Span<UInt8>, message: Span<UInt8>) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Int(crypto_auth_hmacsha256_BYTES))
    var state = crypto_auth_hmacsha256_state()
    unsafe key.withUnsafeBufferPointer { key in
        // libsodium copies the key through a pointer it takes for granted, so an empty key is one zero byte: the same
        // key after HMAC's padding.
        let empty: UInt8 = 0
        if let base = key.baseAddress {
            _ = unsafe crypto_auth_hmacsha256_init(&state, base, key.count)
        } else {
            _ = unsafe withUnsafePointer(to: empty) { unsafe crypto_auth_hmacsha256_init(&state, $0, 1) }
        }
    }
    unsafe message.withUnsafeBufferPointer { message in
        if let base = message.baseAddress {
            _ = unsafe crypto_auth_hmacsha256_update(&state, base, UInt64(message.count))
        }
    }
    _ = unsafe crypto_auth_hmacsha256_final(&state, &digest)
    return digest
}

/// Lower-case hexadecimal of `bytes`, two digits each.
public func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text = ""
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
        text.unicodeScalars.append(Unicode.Scalar(digits[Int(byte >> 4)]))
        text.unicodeScalars.append(Unicode.Scalar(digits[Int(byte & 15)]))
    }
    return text
}
