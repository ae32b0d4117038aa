import Instruments
import Testing

private struct Source: MetricsSource {
    var list: [MetricFamily]
    func families() -> [MetricFamily] { list }
}

private func page(_ families: MetricFamily...) -> String { MetricsPage([Source(list: families)]).render() }

@Suite struct InstrumentTests {
    @Test func labelledCounterHasEverySeriesFromTheStart() {
        let counter = LabelledCounter(.init("class", values: ["a", "b"]), .init("severity", values: ["x", "y"]))
        counter["b", "x"].add(3)
        counter["b", "x"].add()
        #expect(counter.total == 4)
        #expect(
            page(.counter("n_total", help: "H.", counter)) == """
                # HELP n_total H.
                # TYPE n_total counter
                n_total{class="a",severity="x"} 0
                n_total{class="a",severity="y"} 0
                n_total{class="b",severity="x"} 4
                n_total{class="b",severity="y"} 0

                """)
    }

    @Test func undeclaredLabelValueTraps() async {
        await #expect(processExitsWith: .failure) {
            LabelledCounter(.init("reason", values: ["malformed"]))["from-outside"].add()
        }
    }

    @Test func helpAndLabelValuesAreEscaped() {
        let counter = LabelledCounter(.init("x", values: ["a\"b\\c\nd"]))
        #expect(
            page(.counter("n_total", help: "one\\two\nthree \"four\"", counter)) == #"""
                # HELP n_total one\\two\nthree "four"
                # TYPE n_total counter
                n_total{x="a\"b\\c\nd"} 0

                """#)
    }

    @Test(arguments: [
        (0, "0"), (-0.0, "0"), (1, "1"), (-3, "-3"), (0.25, "0.25"), (1e300, "1e+300"), (.infinity, "+Inf"),
        (-.infinity, "-Inf"), (.nan, "NaN"), (1e-7, "1e-07"), (9_007_199_254_740_991, "9007199254740991"),
    ])
    func numbers(value: Double, text: String) {
        #expect(page(.gauge("g", help: "H.", value)) == "# HELP g H.\n# TYPE g gauge\ng \(text)\n")
    }

    @Test func gaugeIsSetOrObserved() {
        let gauge = Gauge(2.5)
        #expect(gauge.value == 2.5)
        gauge.set(true)
        #expect(gauge.value == 1)
        let source = Counter()
        gauge.observe { Double(source.value) * 0.5 }
        source.add(3)
        #expect(gauge.value == 1.5)
    }

    @Test func histogramPage() {
        let histogram = Histogram(bounds: [0.1, 1, 10])
        for value in [0.1, 0.05, -4, 0.5, 1, 100, .nan, .infinity] { histogram.observe(value) }
        #expect(
            page(.histogram("h_seconds", help: "H.", histogram)) == """
                # HELP h_seconds H.
                # TYPE h_seconds histogram
                h_seconds_bucket{le="0.1"} 3
                h_seconds_bucket{le="1"} 5
                h_seconds_bucket{le="10"} 5
                h_seconds_bucket{le="+Inf"} 6
                h_seconds_sum 101.65
                h_seconds_count 6

                """)
    }

    @Test func histogramLosesNoObservation() async {
        let histogram = Histogram(bounds: [1, 2, 3])
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask { for _ in 0..<10_000 { histogram.observe(Double(writer)) } }
            }
        }
        let seen = histogram.snapshot
        #expect(seen.cumulative == [20_000, 30_000, 40_000])
        #expect(seen.count == 40_000)
        #expect(seen.sum == 60_000)
    }
}
