/// Counters told apart by labels whose values are all known beforehand, so that the number of series is fixed and each
/// is there from the start at 0.
///
/// Any thread may count; looking a series up takes no lock. A caller on a hot path looks its series up once and keeps it.
public final class LabelledCounter: Sendable {
    /// One label and every value that it may have.
    public struct Label: Sendable {
        public var name: String
        public var values: [String]

        public init(_ name: String, values: [String]) {
            self.name = name
            self.values = values
        }
    }

    public let names: [String]
    /// Every combination of values, the last label's varying fastest.
    let series: [(values: [String], counter: Counter)]
    private let index: [[String]: Counter]

    /// One series for each combination of the labels' values, at most 1,000.
    public init(_ labels: Label...) {
        var combinations: [[String]] = [[]]
        for label in labels {
            precondition(Set(label.values).count == label.values.count, "a label's values must differ")
            combinations = combinations.flatMap { start in label.values.map { start + [$0] } }
            precondition(combinations.count <= 1000, "too many series")
        }
        names = labels.map(\.name)
        series = combinations.map { ($0, Counter()) }
        index = Dictionary(uniqueKeysWithValues: series.map { ($0.values, $0.counter) })
    }

    /// The series with these values, in the order of the labels. Values that were not declared are a mistake of the
    /// program and trap: a label never takes its value from outside.
    public subscript(values: String...) -> Counter {
        guard let counter = index[values] else { preconditionFailure("a label value that was not declared") }
        return counter
    }

    /// All series together.
    public var total: Int { series.reduce(0) { $0 + $1.counter.value } }
}
