import Alerting
import Clinical
import Formats
import Ingestion
import Registry

/// The lines that `replay` prints for one message.
enum ReplayOutput {
    static func lines(number: Int, _ taken: Replayer.Taken) -> [String] {
        let silences = alerts(number: number, taken, taken.silences)
        guard taken.outcome.disposition != .unanswered else { return silences }
        var lines = silences + [outcome(number: number, taken)] + alerts(number: number, taken, taken.changes)
        if let score = taken.news2 { lines.append(news2(number: number, taken, score)) }
        return lines
    }

    private static func alerts(number: Int, _ taken: Replayer.Taken, _ changes: [EpisodeChange]) -> [String] {
        changes.flatMap { change in
            change.events.filter(\.transition.notifies).map { alert(number: number, taken, change.episode, $0) }
        }
    }

    private static func begin(_ writer: inout JSONWriter, number: Int, _ taken: Replayer.Taken) {
        begin(&writer, number: number, report: taken.decoded.report.id)
    }

    private static func begin(_ writer: inout JSONWriter, number: Int, report: Identifier?) {
        writer.beginObject()
        writer.name("line")
        writer.value(number)
        writer.name("report")
        if let report { writer.value(report) } else { writer.null() }
    }

    private static func outcome(number: Int, _ taken: Replayer.Taken) -> String {
        var writer = JSONWriter()
        begin(&writer, number: number, taken)
        writer.name("device")
        if let topic = taken.decoded.topic { writer.value(topic.device) } else { writer.null() }
        patient(&writer, taken)
        let (name, reason): (String, RefusalReason?) =
            switch taken.outcome.disposition {
            case .stored: ("stored", nil)
            case .duplicate: ("duplicate", nil)
            case .quarantined(let reason): ("quarantined", reason)
            case .pending, .unanswered, .spooled: ("quarantined", .malformed)
            }
        writer.name("outcome")
        writer.value(name)
        writer.name("reason")
        if let reason { writer.value(reason.rawValue) } else { writer.null() }
        writer.name("detail")
        writer.value(taken.detail ?? "")
        writer.name("readings")
        writer.beginArray()
        if taken.outcome.disposition == .stored {
            for reading in taken.decoded.readings.readings { write(reading, to: &writer) }
        }
        writer.endArray()
        writer.name("refused")
        writer.beginArray()
        for refused in taken.outcome.refused {
            writer.beginObject()
            writer.name("reading")
            writer.value(refused.index)
            writer.name("kind")
            writer.value(refused.kind)
            writer.name("reason")
            writer.value(refused.reason.rawValue)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }

    private static func news2(number: Int, _ taken: Replayer.Taken, _ score: NEWS2Score) -> String {
        var writer = JSONWriter()
        begin(&writer, number: number, taken)
        patient(&writer, taken)
        writer.name("score")
        writer.beginObject()
        writer.name("name")
        writer.value("news2")
        writer.name("scale")
        writer.value(score.scale)
        writer.name("total")
        if let total = score.total { writer.value(total) } else { writer.null() }
        writer.name("complete")
        writer.value(score.isComplete)
        writer.name("highest_single")
        writer.value(score.highestSingle)
        writer.endObject()
        writer.endObject()
        return writer.text
    }

    private static func patient(_ writer: inout JSONWriter, _ taken: Replayer.Taken) {
        writer.name("patient")
        if let patient = taken.patient { writer.value(patient) } else { writer.null() }
    }

    private static func write(_ reading: Reading, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("kind")
        writer.value(reading.kind.code)
        writer.name("value")
        if let code = reading.code { writer.value(code) } else { writer.value(reading.value) }
        writer.name("unit")
        if reading.code == nil, let unit = reading.kind.canonicalUnit { writer.value(unit.code) } else { writer.null() }
        writer.name("status")
        writer.value(reading.isSuspect ? "suspect" : "accepted")
        writer.endObject()
    }

    private static func alert(
        number: Int, _ taken: Replayer.Taken, _ episode: Episode, _ event: EpisodeEvent
    ) -> String {
        var writer = JSONWriter()
        // The report whose reading it is: silence is noticed at a later line.
        begin(&writer, number: number, report: event.report?.report ?? taken.decoded.report.id)
        if case .patient(let code) = episode.subject {
            writer.name("patient")
            writer.value(code)
        } else {
            patient(&writer, taken)
        }
        writer.name("alert")
        writer.beginObject()
        for (name, text) in [
            ("rule", episode.rule), ("class", episode.alertClass.rawValue), ("severity", event.severity.rawValue),
        ] {
            writer.name(name)
            writer.value(text)
        }
        writer.name("late")
        writer.value(episode.late)
        writer.name("summary")
        writer.value(event.summary)
        writer.endObject()
        writer.endObject()
        return writer.text
    }
}
