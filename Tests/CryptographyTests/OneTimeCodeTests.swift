import Testing

@testable import Cryptography

@Suite struct OneTimeCodeTests {
    /// FIPS 180-4's examples, and lengths about the padding's edge by what `sha1sum` says.
    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (String(repeating: "a", count: 55), "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
        (String(repeating: "a", count: 64), "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
        (String(repeating: "a", count: 1_000_000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    ])
    func sha1IsTheStandards(text: String, digest: String) {
        #expect(hexadecimal(sha1(Array(text.utf8))) == digest)
    }

    /// RFC 2202, cases 1, 2 and 6 (a key longer than a block).
    @Test(arguments: [
        ([UInt8](repeating: 0x0b, count: 20), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (Array("Jefe".utf8), "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (
            [UInt8](repeating: 0xaa, count: 80), "Test Using Larger Than Block-Size Key - Hash Key First",
            "aa4ae5e15272d00e95705637ce8a3b55ed402112"
        ),
    ])
    func hmacIsTheStandards(key: [UInt8], text: String, code: String) {
        #expect(hexadecimal(hmacSHA1(key: key, message: Array(text.utf8))) == code)
    }

    private static let secret = Array("12345678901234567890".utf8)

    /// RFC 6238, appendix B, SHA-1.
    @Test(arguments: [
        (Int64(59), "94287082"), (1_111_111_109, "07081804"), (1_111_111_111, "14050471"), (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"), (20_000_000_000, "65353130"),
    ])
    func codesAreTheStandards(seconds: Int64, code: String) {
        #expect(OneTimeCode.code(secret: Self.secret, step: seconds / 30, digits: 8) == code)
        #expect(OneTimeCode.code(secret: Self.secret, step: seconds / 30) == String(code.suffix(6)))
    }

    @Test func aCodeIsTakenOnceAndNearItsTime() {
        let now: Int64 = 1_111_111_111
        func step(_ code: String, after last: Int64 = 0) -> Int64? {
            OneTimeCode.step(of: code, secret: Self.secret, seconds: now, after: last)
        }
        for offset in Int64(-1)...1 {
            #expect(step(OneTimeCode.code(secret: Self.secret, step: now / 30 + offset)) == now / 30 + offset)
        }
        for offset: Int64 in [-2, 2] {
            #expect(step(OneTimeCode.code(secret: Self.secret, step: now / 30 + offset)) == nil)
        }
        #expect(step("050471", after: now / 30) == nil)
        for code in ["", "05047", "0504710", "050472", "０５０４７１"] { #expect(step(code) == nil) }
    }

    /// RFC 4648's examples.
    @Test(arguments: [
        ("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ])
    func base32IsTheStandards(bytes: String, text: String) {
        #expect(OneTimeCode.base32(Array(bytes.utf8)) == text)
    }

    @Test func anAppCanReadTheAddress() {
        #expect(
            OneTimeCode.address(secret: Self.secret, account: "cm-01")
                == "otpauth://totp/Homeward:cm-01?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Homeward"
                + "&algorithm=SHA1&digits=6&period=30")
    }

    @Test func aPasswordMatchesItsOwnHash() {
        let password = Array("correct horse battery staple".utf8)
        let hash = PasswordHash.make(password)
        #expect(hash.hasPrefix("$argon2id$"))
        #expect(PasswordHash.matches(hash, password))
        #expect(hash != PasswordHash.make(password))
        for other in ["", "correct horse battery stapl", "correct horse battery staple\0"] {
            #expect(!PasswordHash.matches(hash, Array(other.utf8)))
        }
        for text in ["", "$argon2id$", hash + "x", String(repeating: "a", count: 500)] {
            #expect(!PasswordHash.matches(text, password))
        }
        #expect(!PasswordHash.matches(PasswordHash.ofNobody, []))
    }
}
