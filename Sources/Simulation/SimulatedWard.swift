public import Clinical
public import Foundation

/// A ward of invented patients: the endless stream of their readers' reports, in the order of upload.
///
/// The same arguments give the same reports, byte for byte. A ward of N patients is the first N of a larger one.
public struct SimulatedWard: Sequence, IteratorProtocol, Sendable {
    public let patients: [SimulatedPatient]
    private var readers: [Int: SimulatedReader] = [:]
    private var upcoming = PriorityQueue<Upcoming>()

    /// - Parameters:
    ///   - count: How many patients; none where it is below 1.
    ///   - start: Where the virtual time begins; no report is taken before it, and every course is well at it.
    ///   - site: The code of the readers' site.
    ///   - run: Prefix of the report ids; without it the device's code. An id is unique per device for ever, so two
    ///     runs into one database with different starts need different prefixes.
    ///   - share: Makes only the reports of the patients whose index leaves `remainder` when divided by `divisor`,
    ///     so that several connections divide one ward.
    public init(
        patients count: Int, scenario: Scenario, seed: UInt64, start: Instant, site: String,
        run: String? = nil, timeZone: TimeZone = .gmt, share: (remainder: Int, divisor: Int) = (0, 1)
    ) {
        patients = (0..<Swift.max(0, count)).map { SimulatedPatient(index: $0, scenario: scenario, seed: seed) }
        for patient in patients where patient.index % Swift.max(1, share.divisor) == share.remainder {
            var reader = SimulatedReader(
                patient: patient, site: site, run: run, seed: seed, start: start, timeZone: timeZone)
            upcoming.insert(Upcoming(report: reader.next(), patient: patient.index))
            readers[patient.index] = reader
        }
    }

    public mutating func next() -> SimulatedReport? {
        guard let first = upcoming.popFirst() else { return nil }
        if let following = readers[first.patient]?.next() {
            upcoming.insert(Upcoming(report: following, patient: first.patient))
        }
        return first.report
    }

    private struct Upcoming: Comparable {
        let report: SimulatedReport
        let patient: Int

        static func < (left: Upcoming, right: Upcoming) -> Bool {
            (left.report.uploadAt, left.patient) < (right.report.uploadAt, right.patient)
        }
    }
}
