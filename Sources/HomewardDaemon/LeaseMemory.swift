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
    /// Another instance was there to take it.
    var isPaired: Bool
    /// The most renewals ever seen.
    var mark: Int64?

    init(word: Word, shard: String?, epoch: Int64?, isPaired: Bool, mark: Int64?) {
        self.word = word
        self.shard = shard
        self.epoch = epoch
        self.isPaired = isPaired
        self.mark = mark
    }

    /// `held 7 paired 1234 homeward`.
    init?(_ text: String) {
        let parts = text.split(maxSplits: 4, whereSeparator: \.isWhitespace)
        guard parts.count == 5, let word = Word(rawValue: String(parts[0])) else { return nil }
        self.init(
            word: word, shard: parts[4].trimmingCharacters(in: .newlines), epoch: Int64(parts[1]),
            isPaired: parts[2] == "paired", mark: Int64(parts[3]))
    }

    var text: String {
        "\(word.rawValue) \(epoch.map(String.init) ?? "-") \(isPaired ? "paired" : "alone") "
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
        let identity = directory + "/instance"
        var own = (try? String(contentsOfFile: identity, encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines)
        if own?.isEmpty ?? true {
            let fresh = hexadecimal(randomBytes(16))
            try (fresh + "\n").write(toFile: identity, atomically: true, encoding: .utf8)
            own = fresh
        }
        let machine = (try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8)) ?? ""
        // machine-id(5) asks not to show it to others as it is.
        instance = hexadecimal(Array(sha256(Array((machine + (own ?? "")).utf8)).prefix(8)))
        let kept = (try? String(contentsOfFile: path, encoding: .utf8)).flatMap(LeaseMemory.init)
        // Of a version without leases: it had subscribed, so it was the only one.
        let isOlder = FileManager.default.fileExists(atPath: directory + "/broker-session")
        found = kept ?? (isOlder ? LeaseMemory(word: .held, shard: nil, epoch: nil, isPaired: false, mark: nil) : nil)
        written = kept
    }

    /// Where it can't be written, a start while the database is away waits for it.
    mutating func write(_ memory: LeaseMemory) {
        guard memory != written else { return }
        guard (try? memory.text.write(toFile: path, atomically: true, encoding: .utf8)) != nil else { return }
        written = memory
    }
}
