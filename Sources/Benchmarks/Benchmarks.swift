import ArgumentParser

/// Measures in one run and prints ratios: machines are shared and noisy, so a figure alone says little.
@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "homeward-benchmarks",
        abstract: "Measures the ring and the decoder against references in the same run.",
        discussion: "End to end, against other consumers on private servers: deploy/benchmark.sh.",
        subcommands: [RingBenchmark.self, DecodeBenchmark.self])
}

/// The middle of several runs.
func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}

func formatted(_ value: Double, digits: Int = 1) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let rounded = (value * scale).rounded() / scale
    return digits == 0 ? String(Int(exactly: rounded) ?? 0) : String(rounded)
}
