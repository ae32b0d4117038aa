/// Time-based one-time codes (RFC 6238) as authenticator apps make them: HMAC-SHA1, steps of 30 s, six digits.
public enum OneTimeCode {
    public static let secretByteCount = 20
    public static let stepSeconds: Int64 = 30

    /// The code of a time step; `digits` from 6 to 8.
    public static func code(secret: [UInt8], step: Int64, digits: Int = 6) -> String {
        let counter = (0..<8).map { UInt8(truncatingIfNeeded: step >> (56 - 8 * Int64($0))) }
        let digest = hmacSHA1(key: secret, message: counter)
        let offset = Int(digest[19] & 0xf)
        let number =
            UInt32(digest[offset] & 0x7f) << 24 | UInt32(digest[offset + 1]) << 16 | UInt32(digest[offset + 2]) << 8
            | UInt32(digest[offset + 3])
        let count = min(max(digits, 6), 8)
        let modulus: UInt32 = count == 6 ? 1_000_000 : count == 7 ? 10_000_000 : 100_000_000
        let text = String(number % modulus)
        return String(repeating: "0", count: count - text.utf8.count) + text
    }

    /// The step whose code `code` is, of the present one and its neighbours (a clock may be half a minute off), if it
    /// is newer than `last`; nil for any other code. Compares in constant time.
    public static func step(of code: String, secret: [UInt8], seconds: Int64, after last: Int64) -> Int64? {
        let present = seconds / stepSeconds
        let given = Array(code.utf8)
        var found: Int64?
        for step in [present - 1, present, present + 1] {
            let isSame = equalInConstantTime(Array(Self.code(secret: secret, step: step).utf8), given)
            if isSame, step > last, found == nil { found = step }
        }
        return found
    }

    /// What an authenticator app reads, as text or out of a QR code.
    /// https://github.com/google/google-authenticator/wiki/Key-Uri-Format
    ///
    /// - Parameter account: of letters, digits, `-` and `_`.
    public static func address(secret: [UInt8], account: String) -> String {
        "otpauth://totp/Homeward:\(account)?secret=\(base32(secret))&issuer=Homeward&algorithm=SHA1&digits=6&period=30"
    }

    /// RFC 4648, without padding.
    static func base32(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for byte in bytes {
            bits = (bits << 8 | UInt32(byte)) & 0xffff
            count += 8
            while count >= 5 {
                count -= 5
                text.append(alphabet[Int(bits >> count & 0x1f)])
            }
        }
        if count > 0 { text.append(alphabet[Int(bits << (5 - count) & 0x1f)]) }
        return String(decoding: text, as: UTF8.self)
    }
}
