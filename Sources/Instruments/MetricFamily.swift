/// A metric as one scrape saw it: its name, what it means and the numbers of its series.
public struct MetricFamily: Sendable {
    public enum Kind: String, Sendable {
        case counter
        case gauge
        case histogram
    }

    struct Sample: Sendable {
        var suffix = ""
        var labels: [(name: String, value: String)] = []
        var value: Double
    }

    public var name: String
    public var help: String
    public var kind: Kind
    var samples: [Sample]

    private init(_ name: String, help: String, kind: Kind, samples: [Sample]) {
        self.name = name
        self.help = help
        self.kind = kind
        self.samples = samples
    }

    /// A count; pass the number where several metrics must agree in one scrape.
    public static func counter(_ name: String, help: String, _ value: Int) -> MetricFamily {
        MetricFamily(name, help: help, kind: .counter, samples: [Sample(value: Double(value))])
    }

    public static func counter(_ name: String, help: String, _ counter: LabelledCounter) -> MetricFamily {
        .counter(name, help: help, labels: counter.names, counter.series.map { ($0.values, $0.counter.value) })
    }

    static func counter(
        _ name: String, help: String, labels: [String], _ series: [(values: [String], count: Int)]
    ) -> MetricFamily {
        let samples = series.map { row in
            Sample(labels: zip(labels, row.values).map { (name: $0, value: $1) }, value: Double(row.count))
        }
        return MetricFamily(name, help: help, kind: .counter, samples: samples)
    }

    public static func gauge(_ name: String, help: String, _ value: Double) -> MetricFamily {
        MetricFamily(name, help: help, kind: .gauge, samples: [Sample(value: value)])
    }

    /// One series for each row, whose values stand in the order of `labels`.
    public static func gauge(
        _ name: String, help: String, labels: [String], _ series: [(values: [String], value: Double)]
    ) -> MetricFamily {
        let samples = series.map { row in
            Sample(labels: zip(labels, row.values).map { (name: $0, value: $1) }, value: row.value)
        }
        return MetricFamily(name, help: help, kind: .gauge, samples: samples)
    }

    public static func histogram(_ name: String, help: String, _ histogram: Histogram) -> MetricFamily {
        let seen = histogram.snapshot
        var samples = zip(histogram.bounds, seen.cumulative).map { bound, count in
            Sample(suffix: "_bucket", labels: [("le", MetricsPage.number(bound))], value: Double(count))
        }
        samples.append(Sample(suffix: "_bucket", labels: [("le", "+Inf")], value: Double(seen.count)))
        samples.append(Sample(suffix: "_sum", value: seen.sum))
        samples.append(Sample(suffix: "_count", value: Double(seen.count)))
        return MetricFamily(name, help: help, kind: .histogram, samples: samples)
    }
}
