import ArgumentParser
import CAllocationCounter
import CLinux
import Clinical
import Formats
import Foundation

/// The report decoder against Foundation's, on the contract's own example.
struct DecodeBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode", abstract: "Report decoder against JSONDecoder, with allocations.")

    @Option(help: "Reports of each run of ours; JSONDecoder's has a twentieth.")
    var reports = 100_000

    @Option(help: "Runs of each, in turn.")
    var runs = 21

    private static let example = Array(
        #"""
        {"id":"d41f-000123","taken_at":"2026-11-23T08:15:30+00:00","sent_at":"2026-11-23T08:15:31+00:00","seq":123,
         "readings":[{"kind":"systolic","value":142,"unit":"mm[Hg]"},{"kind":"diastolic","value":88,"unit":"mm[Hg]"},{"kind":"pulse","value":71,"unit":"/min"}],
         "answers":[{"question":"breathless","value":true}],
         "battery":87}
        """#.utf8)

    /// The same fields to the same values for JSONDecoder.
    private struct Reference: Decodable {
        struct Reading: Decodable {
            var kind: String
            var value: Double
            var unit: String
        }
        struct Answer: Decodable {
            var question: String
            var value: Bool
        }
        var id: String
        var taken_at: Date
        var sent_at: Date?
        var seq: Int64?
        var readings: [Reading]
        var answers: [Answer]
        var battery: Double?
    }

    func run() throws {
        var ours: [Double] = []
        var theirs: [Double] = []
        var allocations = 0.0
        for _ in 0..<runs {
            let (nanoseconds, count) = try decodeOurs()
            ours.append(nanoseconds)
            allocations = count
            theirs.append(try decodeTheirs())
        }
        let ratio = median(zip(ours, theirs).map { $1 / $0 })
        print("homeward     \(formatted(median(ours), digits: 0)) ns a report of \(Self.example.count) bytes")
        print("JSONDecoder  \(formatted(median(theirs), digits: 0)) ns a report, to the same values")
        print("ratio        \(formatted(ratio)) times as fast (median of \(runs) pairs; the bar is 20)")
        print("allocations  \(formatted(allocations, digits: 3)) a report of ours (the bar is 0)")
    }

    private func decodeOurs() throws -> (nanoseconds: Double, allocations: Double) {
        var decoder = ReportDecoder()
        var report = SentReport()
        try decoder.decode(Self.example.span, into: &report)
        let before = allocation_count()
        let started = linux_thread_cpu_nanoseconds()
        for _ in 0..<reports { try decoder.decode(Self.example.span, into: &report) }
        let ended = linux_thread_cpu_nanoseconds()
        let allocated = allocation_count() - before
        return (Double(ended - started) / Double(reports), Double(allocated) / Double(reports))
    }

    private func decodeTheirs() throws -> Double {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        let data = Data(Self.example)
        let count = max(1, reports / 20)
        let started = linux_thread_cpu_nanoseconds()
        for _ in 0..<count { _ = try decoder.decode(Reference.self, from: data) }
        return Double(linux_thread_cpu_nanoseconds() - started) / Double(count)
    }
}
