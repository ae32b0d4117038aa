import Alerting
import Clinical
import Formats
import Registry

/// A red that waits for the repeat that the patient was asked for: its alert is open as amber meanwhile. It is a timer,
/// set in the transaction that stored its reading, so that silence makes it red whatever becomes of this process.
public struct HeldRed: Sendable, Hashable {
    /// The timers' kind.
    public static let kind = "confirmation"

    /// The report whose reading waits.
    var key: ReportKey
    var patient: Identifier
    /// What silence makes of it; received when the time for the repeat is over.
    var finding: Finding

    var due: Instant { finding.receivedAt }

    /// `P0001 systolic-high`: one red of a rule waits at a time.
    static func name(_ patient: Identifier, rule: String) -> TimerName {
        TimerName(kind: kind, subject: "\(patient) \(rule)")
    }

    var name: TimerName { Self.name(patient, rule: finding.rule) }
}

extension HeldRed {
    var timer: Timer {
        var writer = JSONWriter()
        writer.beginObject()
        func text(_ name: String, _ text: String?) {
            guard let text else { return }
            writer.name(name)
            writer.value(text)
        }
        func number(_ name: String, _ number: Double?) {
            guard let number else { return }
            writer.name(name)
            writer.value(number)
        }
        text("patient", patient.description)
        text("site", finding.site?.description)
        text("device", key.device.description)
        text("report", key.report.description)
        text("rule", finding.rule)
        writer.name("taken_at_us")
        writer.value(finding.takenAt.microseconds)
        number("measure", finding.measure)
        number("step", finding.step)
        text("summary", finding.summary)
        text("explanation", finding.explanation)
        writer.endObject()
        return Timer(kind: Self.kind, subject: name.subject, due: due, payload: writer.text)
    }

    /// Nil for a timer of another kind, or one that can't be understood.
    init?(_ timer: Timer) {
        guard timer.kind == Self.kind, let json = try? JSONReader.value(Array(timer.payload.utf8).span),
            let patient = json["patient"]?.string.flatMap({ Identifier($0) }),
            let device = json["device"]?.string.flatMap({ Identifier($0) }),
            let report = json["report"]?.string.flatMap({ Identifier($0, grammar: .report) }),
            let rule = json["rule"]?.string, let summary = json["summary"]?.string,
            let takenAt = json["taken_at_us"]?.number.flatMap({ Int64(exactly: $0) })
        else { return nil }
        key = ReportKey(device: device, report: report)
        self.patient = patient
        finding = Finding(
            subject: .patient(patient), site: json["site"]?.string.flatMap { Identifier($0) }, device: device,
            rule: rule,
            alertClass: .clinical, verdict: .beyond(.red), takenAt: Instant(microseconds: takenAt),
            receivedAt: timer.due, report: key, measure: json["measure"]?.number, step: json["step"]?.number,
            summary: summary, explanation: json["explanation"]?.string ?? "{}")
    }
}

/// A reading that may be the repeat that a red waits for.
struct Repeat: Sendable {
    var key: ReportKey
    var patient: Identifier
    var takenAt: Instant
    var receivedAt: Instant
}

extension Draft {
    /// Any later reading of the kind settles what waits for one, whatever it says. Call it before the report is judged.
    mutating func noteRepeat(_ accepted: AcceptedReport, _ plan: Plan) {
        let report = accepted.report
        for kind in Set(report.readings.map(\.kind)) {
            for side in Side.allCases where plan.asksForRepeat(kind, side) {
                let name = HeldRed.name(accepted.patient, rule: Band.rule(kind, side))
                repeats[name, default: []].append(
                    Repeat(
                        key: report.key, patient: accepted.patient, takenAt: report.takenAt,
                        receivedAt: report.receivedAt))
                settleOwn(name, report)
            }
        }
    }

    /// What waits since an earlier report of this very batch.
    private mutating func settleOwn(_ name: TimerName, _ later: JudgedReport) {
        guard let place = held.firstIndex(where: { $0.name == name }) else { return }
        let red = held.remove(at: place)
        if later.receivedAt >= red.due { findings.append(red.finding) }
    }

    var subjectsOfRepeats: Set<Subject> {
        Set(repeats.values.compactMap { $0.first.map { .patient($0.patient) } })
    }

    /// What was waiting is over once a later reading came: in time, it was judged as the repeat; after that, silence had
    /// made it red before. What counts is when a report was received, not when it is committed.
    ///
    /// A person who resolved the alert has ended the waiting.
    mutating func settle(_ waiting: [HeldRed], open: [Episode]) {
        var silences: [Finding] = []
        for red in waiting {
            let later = (repeats[red.name] ?? []).filter { $0.key != red.key && $0.takenAt >= red.finding.takenAt }
            guard !later.isEmpty else { continue }
            rows.endedTimers.append(red.name)
            guard !later.contains(where: { $0.receivedAt < red.due }), red.isOpen(in: open) else { continue }
            silences.append(red.finding)
        }
        findings = silences + findings
    }
}

extension HeldRed {
    func isOpen(in episodes: [Episode]) -> Bool {
        episodes.contains { $0.subject == finding.subject && $0.rule == finding.rule }
    }
}

extension BatchProcessor {
    /// A red waits for its repeat only where somebody asks for it while the patient is still there.
    func mayHold(_ accepted: AcceptedReport) -> Bool {
        options.holdsReds && !accepted.report.isLate && registry.devices[accepted.report.key.device]?.canAsk == true
    }
}
