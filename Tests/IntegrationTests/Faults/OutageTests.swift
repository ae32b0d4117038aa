import Foundation
import TestSupport
import Testing

extension FaultSuite {
    /// What a database that is away must never cost: a report, or the time of a red one.
    ///
    /// HOMEWARD_OUTAGE_RATE is how many reports a second are published, HOMEWARD_RED_SECONDS how soon a red is told. The
    /// promise is 2,000 and 5 s, for the release build as HOMEWARD_BINARY; a debug build among all other tests has time.
    @Suite struct OutageTests {
        /// From the sending of a red reading to the care manager's endpoint.
        static let redLimit = Duration.seconds(NothingLostTests.setting("HOMEWARD_RED_SECONDS", default: 60))

        @Test func `15 s without PostgreSQL, 10 s of a hung one and a killed daemon cost nothing`() throws {
            let rate = NothingLostTests.setting("HOMEWARD_OUTAGE_RATE", default: 300)
            let reds = [1, 4, 7].map { FaultWard.oxygen("red-\($0)", device: $0, value: 86, isOrdered: true) }
            // A ward in which so many reports a second come of nobody's measuring all the time.
            let patients = max(FaultWard.devices, rate)
            let others = Array(10...patients)
            let usual = (0..<30 * rate).map { number in
                FaultWard.oxygen(
                    "u-\(number)", device: others[number % others.count], value: 97, at: number * 1000 / rate)
            }
            let faulty = try FaultStack(registry: FaultWard.registry(of: patients))
            defer { try? faulty.heal() }
            try faulty.startReadyDaemon()
            let scraper = CounterScraper(port: faulty.stack.httpPort)
            // Nothing is sent again for want of a receipt: what the broker took is for the daemon to keep.
            let readers = HomeReaders(port: faulty.stack.broker.port, reports: reds + usual, patience: nil)
            defer {
                readers.stop()
                scraper.stop()
            }
            #expect(eventually { (faulty.stack.metric("homeward_reports_stored_total") ?? 0) > Double(rate) })

            var began = ContinuousClock.now
            let bringBack = try faulty.inflict(.databaseKilled)
            Self.wait(until: began + .seconds(6))
            expectTold(0, of: readers, by: faulty, "without PostgreSQL")
            Self.wait(until: began + .seconds(15))
            try bringBack()

            began = .now
            let thaw = try faulty.inflict(.databaseFrozen)
            Self.wait(until: began + .seconds(2))
            expectTold(1, of: readers, by: faulty, "while PostgreSQL hangs")
            try faulty.inflict(.daemonKilled)()
            #expect(eventually { faulty.stack.metric("homeward_broker_connected") == 1 })
            expectTold(2, of: readers, by: faulty, "of a daemon that started while PostgreSQL hangs")
            Self.wait(until: began + .seconds(10))
            try thaw()

            try faulty.expectSettled(readers)
            scraper.stop()
            #expect(scraper.problems == [])
        }

        @Test func `a daemon that starts while PostgreSQL is away judges from what its last life knew`() throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            try faulty.startReadyDaemon()
            let reports = [
                FaultWard.oxygen("before", device: 1, value: 97),
                FaultWard.oxygen("red", device: 4, value: 86, isOrdered: true),
            ]
            let readers = HomeReaders(port: faulty.stack.broker.port, reports: reports, patience: nil)
            defer { readers.stop() }
            #expect(eventually { readers.progress[0].isStored })
            #expect(faulty.stack.stopDaemon() == 0)
            let bringBack = try faulty.inflict(.databaseKilled)
            try faulty.startDaemon()
            #expect(eventually { faulty.stack.metric("homeward_broker_connected") == 1 })
            #expect(faulty.stack.get("/readyz")?.status == 503)
            expectTold(1, of: readers, by: faulty, "of a daemon that started without PostgreSQL")
            try bringBack()
            try faulty.expectSettled(readers)
        }

        /// Sends the red report at that place and expects its notification in time.
        private func expectTold(_ place: Int, of readers: HomeReaders, by faulty: FaultStack, _ when: String) {
            let patient = readers.reports[place].device.replacing("dev-", with: "P")
            readers.send(place)
            func told() -> ContinuousClock.Instant? {
                faulty.hook.arrivals.first { arrival in
                    TestReader.member("patient", of: arrival.body) == patient
                        && TestReader.member("severity", of: arrival.body) == "red"
                }?.at
            }
            _ = eventually(within: Self.redLimit + .seconds(1), every: .milliseconds(20)) { told() != nil }
            guard let sent = readers.progress[place].firstSent else {
                Issue.record("the red reading \(when) was never sent")
                return
            }
            guard let told = told() else {
                Issue.record("nobody was told of a red reading \(when); the daemon: \(faulty.stack.log.suffix(1500))")
                return
            }
            print("outage: told of a red reading \(when) after \((told - sent) / .milliseconds(1)) ms")
            #expect(told - sent <= Self.redLimit, "a red reading \(when)")
        }

        /// The timeline's own clock; nothing is awaited here.
        private static func wait(until instant: ContinuousClock.Instant) {
            let left = instant - .now
            if left > .zero { usleep(UInt32(clamping: Int64(left / .microseconds(1)))) }
        }
    }
}
