import CSodium
import Cryptography
import Glibc

/// The key under which reports lie on the disk: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), as libsodium has it.
/// Any thread. Its bytes are wiped when it goes.
public final class SpoolKey: Sendable {
    static let byteCount = 32
    static let nonceCount = 24
    static let tagCount = 16

    private let bytes: [UInt8]

    /// Nil unless there are 32 bytes.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        // A copy, so that what is wiped is ours alone.
        self.bytes = bytes.map { $0 }
    }

    deinit {
        unsafe bytes.withUnsafeBytes { bytes in
            if let first = bytes.baseAddress {
                unsafe sodium_memzero(UnsafeMutableRawPointer(mutating: first), bytes.count)
            }
        }
    }

    /// The key in a file of 32 bytes, or of 64 hexadecimal digits and perhaps the end of a line. Others may not be able
    /// to read the file; its group may, since an access-control list, as systemd's credentials have, shows there.
    public static func read(path: String) throws(SpoolUnavailable) -> SpoolKey {
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SpoolUnavailable(.key, path, "can't be read: \(word(forError: errno))") }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw SpoolUnavailable(.key, path, "can't be read: \(word(forError: errno))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SpoolUnavailable(.key, path, "is not a file") }
        guard status.st_mode & 0o007 == 0 else {
            throw SpoolUnavailable(.permissions, path, "can be read by every user: chmod 0400")
        }
        var content = [UInt8](repeating: 0, count: 128)
        let count = unsafe Glibc.read(descriptor, &content, content.count)
        guard count >= 0 else { throw SpoolUnavailable(.key, path, "can't be read: \(word(forError: errno))") }
        content.removeSubrange(count...)
        guard let bytes = keyBytes(in: content), let key = SpoolKey(bytes) else {
            throw SpoolUnavailable(.key, path, "must hold 32 bytes or 64 hexadecimal digits")
        }
        return key
    }

    private static func keyBytes(in content: [UInt8]) -> [UInt8]? {
        if content.count == byteCount { return content }
        var digits = content[...]
        if digits.last == UInt8(ascii: "\n") { digits.removeLast() }
        if digits.last == UInt8(ascii: "\r") { digits.removeLast() }
        guard digits.count == 2 * byteCount else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue, digit < 128 else { return nil }
            if let first = high {
                bytes.append(first << 4 | UInt8(value))
                high = nil
            } else {
                high = UInt8(value)
            }
        }
        return bytes
    }

    /// Appends the nonce, the ciphertext of `plain` and the tag. `associated` is bound to it, not stored.
    /// A nonce, 24 bytes, is used once.
    func seal(_ plain: Span<UInt8>, binding associated: Span<UInt8>, nonce: Span<UInt8>, to sealed: inout [UInt8]) {
        sealed.append(span: nonce)
        let start = sealed.count
        sealed.append(contentsOf: repeatElement(0, count: plain.count + Self.tagCount))
        unsafe sealed.withUnsafeMutableBufferPointer { sealed in
            unsafe plain.withUnsafeBufferPointer { plain in
                unsafe associated.withUnsafeBufferPointer { associated in
                    unsafe nonce.withUnsafeBufferPointer { nonce in
                        guard let target = sealed.baseAddress, let nonce = nonce.baseAddress else { return }
                        _ = unsafe crypto_aead_xchacha20poly1305_ietf_encrypt(
                            target + start, nil, plain.baseAddress, UInt64(plain.count), associated.baseAddress,
                            UInt64(associated.count), nil, nonce, bytes)
                    }
                }
            }
        }
    }

    /// Opens what `seal` appended into `plain`. False when it was sealed under another key or is not what was sealed.
    func open(_ sealed: Span<UInt8>, binding associated: Span<UInt8>, into plain: inout [UInt8]) -> Bool {
        let overhead = Self.nonceCount + Self.tagCount
        guard sealed.count >= overhead else { return false }
        // One byte over, so that there is an address even for nothing.
        plain.removeAll(keepingCapacity: true)
        plain.append(contentsOf: repeatElement(0, count: sealed.count - overhead + 1))
        let opened = unsafe plain.withUnsafeMutableBufferPointer { plain in
            unsafe sealed.withUnsafeBufferPointer { sealed in
                unsafe associated.withUnsafeBufferPointer { associated in
                    guard let target = plain.baseAddress, let source = sealed.baseAddress else { return false }
                    return unsafe crypto_aead_xchacha20poly1305_ietf_decrypt(
                        target, nil, nil, source + Self.nonceCount, UInt64(sealed.count - Self.nonceCount),
                        associated.baseAddress, UInt64(associated.count), source, bytes) == 0
                }
            }
        }
        plain.removeLast()
        return opened
    }
}
