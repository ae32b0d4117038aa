import Clinical
import Cryptography
import Formats

/// Bounds what one device can fill quarantine with: 10 MiB of raw bytes a day. Beyond that its refused reports are
/// counted, by reason and hour, with the SHA-256 of the first of them; one an hour is still kept raw, as a sample.
///
/// Part of a transaction: a copy decides, and is kept when the transaction has committed.
struct QuarantineBudget {
    static let bytesPerDay = 10 << 20
    /// Devices remembered. A device that is forgotten starts its day anew, which costs 10 MiB at most.
    static let capacity = 10_000

    private struct Spent {
        var day: Int64
        var bytes: Int
        var sampledHour: Int64?
    }

    /// What can be laid to no device's door shares one account.
    private var byDevice: [Identifier?: Spent] = [:]

    mutating func apply(to row: inout QuarantinedReport) {
        let day = row.receivedAt.microseconds / Self.dayLength
        let hour = row.receivedAt.microseconds / Self.hourLength
        var spent = byDevice[row.device] ?? Spent(day: day, bytes: 0)
        if spent.day != day { spent = Spent(day: day, bytes: 0) }
        defer { byDevice[row.device] = spent }
        makeRoom(for: day)
        let size = row.payload.count + row.topic.count
        guard spent.bytes + size > Self.bytesPerDay else {
            spent.bytes += size
            return
        }
        guard spent.sampledHour == hour else {
            spent.sampledHour = hour
            return
        }
        let hash = sha256(row.payload).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let hourText = RFC3339.format(Instant(microseconds: hour * Self.hourLength))
        row.countedIn = hourText
        row.detail =
            "{\"counted\":\"over 10 MiB of quarantine today\",\"hour\":\"\(hourText)\",\"first_sha256\":\"\(hash)\"}"
        row.payload = []
        row.reportID = nil
    }

    private mutating func makeRoom(for day: Int64) {
        guard byDevice.count > Self.capacity else { return }
        byDevice = byDevice.filter { $0.value.day == day }
        if byDevice.count > Self.capacity { byDevice.removeAll() }
    }

    private static let hourLength: Int64 = 3_600_000_000
    private static let dayLength: Int64 = 24 * hourLength
}
