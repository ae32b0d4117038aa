import Alerting
import Clinical
import Delivery
import Ingestion
import Logging
import PostgresStore
import Registry
import RingBuffer
import ServiceLifecycle

/// Looks for holes in the coverage after each change of the registry and every five minutes: a site with one has a
/// technical alert, before anybody is missed, and its patients are grey.
///
/// A thread of its own: a large ward takes its time, and the database may be away.
final class CoverageWatch: Service {
    private static let interval: Int32 = 300_000
    /// After a failure.
    private static let pause: Int32 = 10_000
    /// As many of them as leave room for others on their way to the commit thread; the rest come next time.
    private static let atOnce = 50

    private let configuration: DatabaseConfiguration
    private let board: RegistryBoard
    private let sites: Set<Identifier>?
    private let seat: LeaseSeat
    private let commit: CommitControl
    private let logger: Logger
    private let wakeUp = WakeUp()

    /// - Parameter sites: those that this instance serves; nil: all.
    init(
        _ configuration: DatabaseConfiguration, registry board: RegistryBoard, sites: Set<Identifier>?,
        seat: LeaseSeat, commit: CommitControl, logger: Logger
    ) {
        self.configuration = configuration
        self.board = board
        self.sites = sites
        self.seat = seat
        self.commit = commit
        self.logger = logger
        board.onChange { [wakeUp] in wakeUp.wake() }
        seat.onChange { [wakeUp] _ in wakeUp.wake() }
    }

    func run() async throws {
        await withGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                _ = StageThread.start(name: "coverage") {
                    self.work()
                    continuation.resume()
                }
            }
        } onGracefulShutdown: {
            self.wakeUp.stop()
        }
    }

    private func work() {
        var told = Told()
        var pause: Int32 = 0
        while wakeUp.sleep(milliseconds: pause) {
            pause = Self.interval
            guard seat.isHolder, let registry = board.registry else { continue }
            let now = wallClock()
            let coverage = Coverage(registry: registry)
            tellOfRoutes(coverage.technicalHoles(of: sites, from: now), &told, registry, now)
            do throws(StoreFailure) {
                // Not kept for five minutes for one question.
                let open = try DatabaseUpkeep(configuration).sites(withOpen: Coverage.rule)
                    .filter { sites?.contains($0) ?? true }
                let findings = told.findings(
                    coverage.holes(of: sites, from: now), open: open, registry: registry, at: now, limit: Self.atOnce)
                commit.raise(findings)
                if findings.count == Self.atOnce { pause = Self.pause }
            } catch {
                pause = Self.pause
            }
        }
    }

    /// Who mends things is told of that by nobody: it is in the log, and `doctor` says it.
    private func tellOfRoutes(_ holes: [CoverageHole], _ told: inout Told, _ registry: Registry, _ now: Instant) {
        for hole in holes where hole.severity == .red && told.routes.insert("\(hole.site) \(hole.why)").inserted {
            logger.warning(
                "technical alerts will reach nobody",
                metadata: [
                    "site": "\(hole.site)", "why": "\(hole.why)",
                    "from": "\(WallClock.words(hole.from, timeZone: registry.sites[hole.site]?.timeZone))",
                ])
        }
    }

    /// What has been told already in this life.
    struct Told {
        /// By site: its first hole as it was told. Resolved by a person, the same hole is not told again.
        private var holes: [Identifier: String] = [:]
        var routes: Set<String> = []

        /// What is to be raised and what is over; empty when nothing has changed.
        ///
        /// - Parameter open: the sites that have an open alert of it.
        mutating func findings(
            _ found: [CoverageHole], open: Set<Identifier>, registry: Registry, at now: Instant, limit: Int
        ) -> [Finding] {
            var findings: [Finding] = []
            // The earliest first.
            let bySite = Dictionary(grouping: found, by: \.site)
            for (site, holes) in bySite.sorted(by: { $0.key.description < $1.key.description }) {
                guard let first = holes.first, findings.count < limit else { continue }
                // A hole that has begun begins with each look.
                let isNow = first.from <= now
                let told = "\(isNow ? Instant(microseconds: 0) : first.from) \(first.severity) \(first.why)"
                let before = self.holes[site]
                guard before != told else { continue }
                self.holes[site] = told
                if open.contains(site) {
                    // After a start it is taken for the one that was told.
                    guard before != nil else { continue }
                    findings.append(finding(site, .inRange, "Another hole comes first now.", at: now))
                }
                let others = holes.count > 1 ? " There are \(holes.count - 1) more: homeward doctor lists them." : ""
                let words = first.words(timeZone: registry.sites[site]?.timeZone, now: now)
                let sentence = words.prefix(1).uppercased() + words.dropFirst()
                findings.append(finding(site, .beyond(.amber), "\(sentence).\(others)", at: now))
            }
            for site in open.sorted(by: { $0.description < $1.description }) where bySite[site] == nil {
                guard findings.count < limit else { break }
                holes[site] = nil
                findings.append(finding(site, .inRange, "Somebody can be told at any time again.", at: now))
            }
            return findings
        }

        private func finding(
            _ site: Identifier, _ verdict: Finding.Verdict, _ summary: String, at now: Instant
        ) -> Finding {
            var finding = Finding(
                subject: .site(site), site: site, device: nil, rule: Coverage.rule, alertClass: .technical,
                verdict: verdict, takenAt: now, receivedAt: now, report: nil, summary: summary)
            finding.isStanding = true
            return finding
        }
    }
}
