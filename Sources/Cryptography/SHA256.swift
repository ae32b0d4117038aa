import CSodium

/// The SHA-256 (FIPS 180-4) of `bytes`: 32 bytes.
public func sha256(_ bytes: Span<UInt8>) -> [UInt8] {
    var hash = SHA256()
    hash.update(bytes)
    return hash.finish()
}

/// The SHA-256 of `bytes`: 32 bytes.
public func sha256(_ bytes: [UInt8]) -> [UInt8] { sha256(bytes.span) }

/// SHA-256 over bytes that come in pieces. A value: a copy goes on by itself from where it was taken.
public struct SHA256: Sendable {
    public static let byteCount = 32

    private var state = crypto_hash_sha256_state()

    public init() { _ = unsafe crypto_hash_sha256_init(&state) }

    public mutating func update(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { source in
            _ = unsafe crypto_hash_sha256_update(&state, source.baseAddress, UInt64(source.count))
        }
    }

    /// The digest of everything so far, 32 bytes; ends this value's use.
    public consuming func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Self.byteCount)
        _ = unsafe crypto_hash_sha256_final(&state, &digest)
        return digest
    }
}
