import Clinical
import Formats

/// The report of the outside contract, section 1, to the letter.
let exampleReport = """
    {"id":"d41f-000123","taken_at":"2026-11-23T08:15:30+00:00","sent_at":"2026-11-23T08:15:31+00:00","seq":123,
     "readings":[{"kind":"systolic","value":142,"unit":"mm[Hg]"},{"kind":"diastolic","value":88,"unit":"mm[Hg]"},\
    {"kind":"pulse","value":71,"unit":"/min"}],
     "answers":[{"question":"breathless","value":true}],
     "battery":87}
    """

/// What became of a payload: the report, or the fault with whatever id was read all the same.
struct Decoded {
    var report: SentReport
    var fault: ReportFault?

    init(_ bytes: [UInt8]) {
        var decoder = ReportDecoder()
        self.init(bytes, &decoder)
    }

    init(_ text: String) { self.init(Array(text.utf8)) }

    init(_ bytes: [UInt8], _ decoder: inout ReportDecoder) {
        report = SentReport()
        do throws(ReportFault) { try decoder.decode(bytes.span, into: &report) } catch { fault = error }
    }
}

/// A report with `members` behind a valid id, time and reading.
func report(with members: String) -> String {
    #"{"id":"a","taken_at":"2026-11-23T08:15:30Z","readings":[{"kind":"pulse","value":71,"unit":"/min"}],\#(members)}"#
}

/// A report whose one reading is `reading`.
func report(reading: String) -> String {
    #"{"id":"a","taken_at":"2026-11-23T08:15:30Z","readings":[\#(reading)]}"#
}

/// A seeded generator (SplitMix64), so that a failing run can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
