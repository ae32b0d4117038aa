import Cryptography
import Foundation

/// What the state directory remembers of the lease, and who this instance is.
struct LeaseMemory: Equatable {
    /// What an earlier life knew last.
    enum Word: String {
        case held
        /// Given up in order, while another instance waited for it, or lost to it.
        case released
    }

    var word: Word
    /// Of that client id; nil: held before there were leases.
    var shard: String?
    /// Nil: held before there were leases.
    var epoch: Int64?
    /// When another instance was last there to take it, in seconds since 1970; nil: never, or long ago.
    var pairedAt: Int64?
    /// The most renewals ever seen.
    var mark: Int64?

    init(word: Word, shard: String?, epoch: Int64?, pairedAt: Int64?, mark: Int64?) {
        self.word = word
        self.shard = shard
        self.epoch = epoch
        self.pairedAt = pairedAt
        self.mark = mark
    }

    /// For how long no other instance has been there, never below 0: a clock may have been set back. Nil: there was none.
    func secondsAlone(at now: Int64) -> Int64? {
        guard let pairedAt else { return nil }
        let (seconds, isTooFar) = now.subtractingReportingOverflow(pairedAt)
        return isTooFar ? nil : max(0, seconds)
    }

    /// `held 7 paired:1764000000 1234 homeward`, or `alone`.
    init?(_ text: String) {
        let parts = text.split(maxSplits: 4, whereSeparator: \.isWhitespace)
        guard parts.count == 5, let word = Word(rawValue: String(parts[0])) else { return nil }
        self.init(
            word: word, shard: parts[4].trimmingCharacters(in: .newlines), epoch: Int64(parts[1]),
            pairedAt: Int64(parts[2].drop { !$0.isNumber }), mark: Int64(parts[3]))
    }

    var text: String {
        "\(word.rawValue) \(epoch.map(String.init) ?? "-") \(pairedAt.map { "paired:\($0)" } ?? "alone") "
            + "\(mark.map(String.init) ?? "-") \(shard ?? "-")\n"
    }
}

/// The files in the state directory. One thread.
struct LeaseFile {
    private let path: String
    /// This instance's name in the lease: of its state directory, on its machine. A directory that was copied to another
    /// machine is another instance.
    let instance: String
    /// As this life found it; nil: this directory has never held the lease.
    let found: LeaseMemory?
    private(set) var written: LeaseMemory?

    /// - Throws: when the directory can't be written.
    init(directory: String) throws {
        path = directory + "/lease"
        if let known = Self.instance(in: directory) {
            instance = known
        } else {
            let fresh = hexadecimal(randomBytes(16))
            try (fresh + "\n").write(toFile: Self.identity(in: directory), atomically: true, encoding: .utf8)
            instance = Self.instance(of: fresh)
        }
        let kept = (try? String(contentsOfFile: path, encoding: .utf8)).flatMap(LeaseMemory.init)
        // Of a version without leases: it had subscribed, so it was the only one.
        let isOlder = FileManager.default.fileExists(atPath: directory + "/broker-session")
        found = kept ?? (isOlder ? LeaseMemory(word: .held, shard: nil, epoch: nil, pairedAt: nil, mark: nil) : nil)
        written = kept
    }

    private static func identity(in directory: String) -> String { directory + "/instance" }

    private static func instance(of identity: String) -> String {
        let machine = (try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8)) ?? ""
        // machine-id(5) asks not to show it to others as it is.
        return hexadecimal(Array(sha256(Array((machine + identity).utf8)).prefix(8)))
    }

    /// Whose directory that is; nil: no daemon has begun there.
    static func instance(in directory: String) -> String? {
        guard let text = try? String(contentsOfFile: identity(in: directory), encoding: .utf8) else { return nil }
        let identity = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return identity.isEmpty ? nil : instance(of: identity)
    }

    /// Where it can't be written, a start while the database is away waits for it.
    mutating func write(_ memory: LeaseMemory) {
        guard memory != written else { return }
        guard (try? memory.text.write(toFile: path, atomically: true, encoding: .utf8)) != nil else { return }
        written = memory
    }
}
