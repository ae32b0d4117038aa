import Instruments
import Testing

/// SplitMix64: small, seeded, the same on every run.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

private let reasons = [
    "bad-topic", "too-large", "malformed", "empty", "conflict", "retained", "unknown-device", "clock-future", "too-old",
    "unpaired", "unknown-kind", "unknown-code", "missing-unit", "unknown-unit", "ambiguous-unit", "implausible",
    "inconsistent", "control-solution", "crashed", "unstorable",
]

private func instruments() -> PipelineInstruments {
    PipelineInstruments(
        .init(
            reasons: reasons, alertClasses: ["clinical", "technical"], severities: ["info", "amber", "red"],
            channels: ["webhook", "email", "sms", "mqtt"]))
}

/// The samples of a page by name with labels.
private func samples(of page: String) -> [String: Double] {
    var result: [String: Double] = [:]
    for line in page.split(separator: "\n") where !line.hasPrefix("#") {
        guard let space = line.lastIndex(of: " ") else { continue }
        result[String(line[..<space])] = Double(line[line.index(after: space)...])
    }
    return result
}

@Suite struct PipelineInstrumentsTests {
    @Test func everyMetricOfTheContractIsThereFromTheStart() {
        let page = MetricsPage([instruments()]).render()
        let found = page.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map { $0.dropFirst(7) }
        #expect(
            found == [
                "homeward_reports_received_total counter", "homeward_reports_stored_total counter",
                "homeward_reports_duplicate_total counter", "homeward_reports_quarantined_total counter",
                "homeward_reports_handed_over_total counter", "homeward_reports_in_flight gauge",
                "homeward_readings_stored_total counter",
                "homeward_readings_refused_total counter", "homeward_statuses_refused_total counter",
                "homeward_alerts_raised_total counter",
                "homeward_deliveries_total counter", "homeward_ring_occupancy_ratio gauge",
                "homeward_spool_bytes gauge", "homeward_commit_seconds histogram",
                "homeward_report_to_alert_seconds histogram", "homeward_broker_connected gauge",
                "homeward_database_connected gauge",
            ])
        let samples = samples(of: page)
        for reason in reasons {
            #expect(samples["homeward_reports_quarantined_total{reason=\"\(reason)\"}"] == 0)
            #expect(samples["homeward_readings_refused_total{reason=\"\(reason)\"}"] == 0)
        }
        #expect(samples["homeward_alerts_raised_total{class=\"clinical\",severity=\"red\"}"] == 0)
        #expect(samples["homeward_deliveries_total{channel=\"webhook\",outcome=\"retried\"}"] == 0)
        #expect(samples.values.allSatisfy { $0 == 0 })
    }

    @Test func whatIsCountedIsShown() {
        let instruments = instruments()
        instruments.reportsReceived.add(10)
        instruments.reportsStored.add(4)
        instruments.reportsDuplicate.add(2)
        instruments.reportsQuarantined["conflict"].add()
        instruments.readingsStored.add(12)
        instruments.readingsRefused["implausible"].add(2)
        instruments.alertsRaised["clinical", "red"].add()
        instruments.brokerConnected.set(true)
        instruments.spoolBytes.observe { 4096 }
        instruments.commitSeconds.observe(0.003)
        let samples = samples(of: MetricsPage([instruments]).render())
        #expect(samples["homeward_reports_in_flight"] == 3)
        #expect(samples["homeward_reports_quarantined_total{reason=\"conflict\"}"] == 1)
        #expect(samples["homeward_readings_stored_total"] == 12)
        #expect(samples["homeward_readings_refused_total{reason=\"implausible\"}"] == 2)
        #expect(samples["homeward_alerts_raised_total{class=\"clinical\",severity=\"red\"}"] == 1)
        #expect(samples["homeward_broker_connected"] == 1)
        #expect(samples["homeward_spool_bytes"] == 4096)
        #expect(samples["homeward_commit_seconds_bucket{le=\"0.002\"}"] == 0)
        #expect(samples["homeward_commit_seconds_bucket{le=\"0.005\"}"] == 1)
    }

    /// Writers receive and end reports while the page is scraped: the counters add up in every scrape, none negative.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func identityHoldsAtEveryScrape(seed: UInt64) async {
        let instruments = instruments()
        let page = MetricsPage([instruments])
        let finished = Counter()
        let reports = 20_000
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<3 {
                group.addTask {
                    var generator = SeededGenerator(state: seed &* 31 &+ UInt64(writer))
                    for _ in 0..<reports {
                        instruments.reportsReceived.add()
                        switch Int.random(in: 0..<4, using: &generator) {
                        case 0: instruments.reportsDuplicate.add()
                        case 1:
                            instruments.reportsQuarantined[reasons.randomElement(using: &generator) ?? "empty"].add()
                        default: instruments.reportsStored.add()
                        }
                    }
                    finished.add()
                }
            }
            group.addTask {
                var scrapes = 0
                repeat {
                    scrapes += 1
                    let samples = samples(of: page.render())
                    let ended = samples.filter { name, _ in
                        name.hasPrefix("homeward_reports_stored") || name.hasPrefix("homeward_reports_duplicate")
                            || name.hasPrefix("homeward_reports_quarantined")
                    }
                    let inFlight = samples["homeward_reports_in_flight"] ?? -1
                    #expect(ended.count == 22, "seed \(seed)")
                    #expect(inFlight >= 0, "seed \(seed)")
                    #expect(
                        samples["homeward_reports_received_total"] == ended.values.reduce(0, +) + inFlight,
                        "seed \(seed)")
                } while finished.value < 3
                #expect(scrapes > 0)
            }
        }
        let counts = instruments.reportCounts
        #expect(counts.received == 3 * reports)
        #expect(counts.inFlight == 0)
    }
}
