import Foundation
import Synchronization

/// Scrapes the counters several times a second, on a thread of its own, and keeps every scrape that does not add up.
final class CounterScraper: Sendable {
    struct Counts {
        var received: Double
        var ended: Double
        var inFlight: Double

        /// Nil when the page lacks one of them.
        init?(page: String) {
            var values: [Substring: Double] = [:]
            var quarantined = 0.0
            for line in page.split(separator: "\n") where line.hasPrefix("homeward_reports_") {
                guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
                    continue
                }
                if line.hasPrefix("homeward_reports_quarantined_total") { quarantined += value }
                values[line[..<space]] = value
            }
            guard let received = values["homeward_reports_received_total"],
                let stored = values["homeward_reports_stored_total"],
                let duplicate = values["homeward_reports_duplicate_total"],
                let inFlight = values["homeward_reports_in_flight"]
            else { return nil }
            self.received = received
            self.ended = stored + duplicate + quarantined
            self.inFlight = inFlight
        }

        var problem: String? {
            guard received != ended + inFlight || inFlight < 0 || received < 0 else { return nil }
            return "counters do not add up: received \(received), ended \(ended), in flight \(inFlight)"
        }
    }

    private struct State {
        var problems: [String] = []
        var scrapes = 0
        var stops = false
        var hasStopped = false
    }

    private let state = Mutex(State())

    init(port: UInt16) {
        Thread.detachNewThread { [self] in
            while !state.withLock({ $0.stops }) {
                if let page = LoopbackHTTP.get(port: port, path: "/metrics"), page.status == 200,
                    let counts = Counts(page: page.body)
                {
                    state.withLock { state in
                        state.scrapes += 1
                        if let problem = counts.problem, state.problems.count < 10 { state.problems.append(problem) }
                    }
                }
                usleep(150_000)
            }
            state.withLock { $0.hasStopped = true }
        }
    }

    var problems: [String] { state.withLock { $0.problems } }
    var scrapes: Int { state.withLock { $0.scrapes } }

    func stop() {
        state.withLock { $0.stops = true }
        while !state.withLock({ $0.hasStopped }) { usleep(2_000) }
    }
}
