import CSodium

/// Passwords by argon2id, with libsodium's interactive cost (64 MiB, about 0.15 s): never on a thread that serves others.
public enum PasswordHash {
    /// The hash with its parameters and salt, as text to be stored. Traps without memory or a random generator, as
    /// `randomBytes` does.
    public static func make(_ password: [UInt8]) -> String {
        precondition(sodiumIsReady, "libsodium could not start")
        var text = [CChar](repeating: 0, count: Int(crypto_pwhash_STRBYTES))
        let result = unsafe crypto_pwhash_str_alg(
            &text, characters(password), UInt64(password.count), UInt64(crypto_pwhash_OPSLIMIT_INTERACTIVE),
            Int(crypto_pwhash_MEMLIMIT_INTERACTIVE), crypto_pwhash_ALG_ARGON2ID13)
        precondition(result == 0, "no memory for a password's hash")
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether `hash` was made of `password`; false for text that is no hash. Takes as long either way.
    public static func matches(_ hash: String, _ password: [UInt8]) -> Bool {
        precondition(sodiumIsReady, "libsodium could not start")
        guard hash.utf8.count < Int(crypto_pwhash_STRBYTES) else { return false }
        return unsafe crypto_pwhash_str_verify(hash, characters(password), UInt64(password.count)) == 0
    }

    /// Of a password that nobody has: what is compared with for an account that does not exist, so that it takes as long.
    public static let ofNobody = make(randomBytes(32))

    // libsodium wants an address even of an empty password: the last one is not counted.
    private static func characters(_ password: [UInt8]) -> [CChar] { password.map { CChar(bitPattern: $0) } + [0] }
}
