import Alerting
import Clinical
import Cryptography
import Formats
import Glibc

/// What happened to the messages of an outage, one line each: `CHECKSUM JSON`. Appended, synced, never changed; a line
/// whose checksum is wrong did not happen.
struct DeliveryJournal: ~Copyable {
    enum Record: Equatable {
        case added(OutageNotice)
        /// An attempt has ended.
        case ended(key: String, attempt: Int, DeliveryOutcome)
        /// PostgreSQL has recorded these, each as part of that alert.
        case handedOver([AlertAlias])
        /// PostgreSQL has recorded what came of these late.
        case settled([LateOutcome])
    }

    /// What was found in the file.
    struct Found {
        var records: [Record] = []
        /// Lines that can't be read with a readable one behind them: no torn tail.
        var damaged = 0
    }

    private let path: String
    private var descriptor: Int32 = -1
    /// Bytes that are whole lines, synced.
    private(set) var length = 0

    init(directory: String) { path = directory + "/outage.journal" }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Opens the file, or makes it, and cuts what a crash left at its end. A damaged file is kept as `.corrupt` too.
    mutating func open() throws(OutageFault) -> Found {
        let bytes = try DurableFile.read(path) ?? []
        let (found, whole) = Self.parse(bytes)
        if found.damaged > 0 { try DurableFile.replace(path + ".corrupt", with: bytes) }
        descriptor = unsafe Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw DurableFile.failure("opening", path) }
        if whole < bytes.count {
            guard ftruncate(descriptor, whole) == 0 else { throw DurableFile.failure("cutting", path) }
        }
        try DurableFile.sync(descriptor, path: path)
        try DurableFile.syncDirectory(of: path)
        length = whole
        return found
    }

    /// Durable when it returns. When it throws, call `rewrite` before the next one: what a failed write or sync left in
    /// the file is anyone's guess, and syncing it again would not tell.
    mutating func append(_ records: [Record]) throws(OutageFault) {
        guard descriptor >= 0 else { throw OutageFault(.unwritable, "\(DurableFile.name(of: path)) is closed") }
        let bytes = Self.lines(records)
        do throws(OutageFault) {
            try DurableFile.write(bytes, to: descriptor, path: path)
            try DurableFile.sync(descriptor, path: path)
            length += bytes.count
        } catch {
            close(descriptor)
            descriptor = -1
            throw error
        }
    }

    /// A new file with these records alone, in the old one's place.
    mutating func rewrite(_ records: [Record]) throws(OutageFault) {
        let bytes = Self.lines(records)
        if descriptor >= 0 {
            close(descriptor)
            descriptor = -1
        }
        try DurableFile.replace(path, with: bytes)
        descriptor = unsafe Glibc.open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw DurableFile.failure("opening", path) }
        length = bytes.count
    }

    var isOpen: Bool { descriptor >= 0 }

    // MARK: - Lines

    static func lines(_ records: [Record]) -> [UInt8] {
        var bytes: [UInt8] = []
        for record in records {
            var writer = JSONWriter()
            record.write(to: &writer)
            bytes += Array(checksum(writer.bytes).utf8) + [UInt8(ascii: " ")] + writer.bytes + [0x0A]
        }
        return bytes
    }

    /// The records and how many bytes of whole lines there are.
    static func parse(_ bytes: [UInt8]) -> (found: Found, whole: Int) {
        var found = Found()
        var whole = 0
        var bad = 0
        var start = 0
        while let end = bytes[start...].firstIndex(of: 0x0A) {
            if let record = record(Array(bytes[start..<end])) {
                found.records.append(record)
                found.damaged += bad
                bad = 0
                whole = end + 1
            } else {
                bad += 1
            }
            start = end + 1
        }
        return (found, whole)
    }

    private static func record(_ line: [UInt8]) -> Record? {
        guard line.count > 17, line[16] == UInt8(ascii: " ") else { return nil }
        let json = Array(line[17...])
        guard Array(line[..<16]) == Array(checksum(json).utf8),
            let value = try? JSONReader.value(json.span)
        else { return nil }
        return Record(value)
    }

    /// 64 bits: against rot and torn writes, not against forgery.
    private static func checksum(_ bytes: [UInt8]) -> String { hexadecimal(Array(sha256(bytes).prefix(8))) }
}

extension DeliveryJournal.Record {
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        switch self {
        case .added(let notice):
            writer.name("added")
            notice.write(to: &writer)
        case .ended(let key, let attempt, let outcome):
            LateOutcome(key: key, attempt: attempt, outcome: outcome).write(to: &writer)
        case .handedOver(let alerts):
            writer.name("handed_over")
            writer.beginArray()
            for alert in alerts {
                writer.beginArray()
                writer.value(alert.alias.description)
                writer.value(alert.alert.description)
                writer.endArray()
            }
            writer.endArray()
        case .settled(let outcomes):
            writer.name("settled")
            writer.beginArray()
            for outcome in outcomes {
                writer.beginObject()
                outcome.write(to: &writer)
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
    }

    init?(_ json: JSONValue) {
        if let notice = json["added"] {
            guard let notice = OutageNotice(notice) else { return nil }
            self = .added(notice)
        } else if let ended = LateOutcome(json) {
            self = .ended(key: ended.key, attempt: ended.attempt, ended.outcome)
        } else if let alerts = json["handed_over"]?.array {
            self = .handedOver(
                alerts.compactMap { pair in
                    let ids = (pair.array ?? []).compactMap { $0.string.flatMap { AlertID($0) } }
                    return ids.count == 2 ? AlertAlias(alias: ids[0], alert: ids[1]) : nil
                })
        } else if let outcomes = json["settled"]?.array {
            self = .settled(outcomes.compactMap { LateOutcome($0) })
        } else {
            return nil
        }
    }
}

extension LateOutcome {
    /// The members of an open object.
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("ended", key)
        writer.member("attempt", Int64(attempt))
        switch outcome {
        case .sent(let at): writer.member("sent", at)
        case .retry(let after, let error):
            writer.member("retry_after_us", after.microseconds)
            writer.member("error", error)
        case .failed(let error): writer.member("failed", error)
        }
    }

    fileprivate init?(_ json: JSONValue) {
        guard let key = json["ended"]?.string, let attempt = json["attempt"]?.integer else { return nil }
        let outcome: DeliveryOutcome
        if let at = json["sent"]?.instant {
            outcome = .sent(at: at)
        } else if let after = json["retry_after_us"]?.integer, let error = json["error"]?.string {
            outcome = .retry(after: Interval(microseconds: after), error: error)
        } else if json["retry"]?.instant != nil, let error = json["error"]?.string {
            // An older version wrote the time, by a clock that may have been wrong.
            outcome = .retry(after: .seconds(0), error: error)
        } else if let error = json["failed"]?.string {
            outcome = .failed(error: error)
        } else {
            return nil
        }
        self.init(key: key, attempt: Int(clamping: attempt), outcome: outcome)
    }
}
