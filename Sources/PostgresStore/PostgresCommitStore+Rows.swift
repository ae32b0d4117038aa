internal import Clinical
internal import Ingestion

extension PostgresCommitStore {
    /// Copies reports, readings and answers in one command string: one round trip a table.
    func copy(_ batch: [StoredReport]) throws(StoreFailure) {
        guard !batch.isEmpty else { return }
        try resolve(batch.lazy.map(\.key.device), in: \.devices)
        try resolve(batch.lazy.map(\.patient), in: \.patients)
        try resolve(batch.lazy.map(\.site), in: \.sites)
        reports.reset()
        readings.reset()
        answers.reset()
        for report in batch {
            guard let device = identifiers.devices[report.key.device], let site = identifiers.sites[report.site],
                let patient = identifiers.patients[report.patient]
            else {
                throw StoreFailure(
                    kind: .misconfigured, message: "writing reports: a device, patient or site is not in the registry")
            }
            append(report, ids: (device, patient, site))
        }
        reports.finish()
        readings.finish()
        answers.finish()
        if answers.rowCount == 0 {
            try connection.copy(
                """
                COPY homeward.report (taken_at, received_at, seq, battery, device, patient, site, clock_corrected,
                    report_id, raw) FROM STDIN (FORMAT binary);
                COPY homeward.reading (value, value_sent, taken_at, received_at, device, patient, site, place, kind,
                    unit_sent, flags, report_id, code, other_flags, suspicions) FROM STDIN (FORMAT binary)
                """, from: [reports, readings], doing: "writing reports")
        } else {
            try connection.copy(
                """
                COPY homeward.report (taken_at, received_at, seq, battery, device, patient, site, clock_corrected,
                    report_id, raw) FROM STDIN (FORMAT binary);
                COPY homeward.reading (value, value_sent, taken_at, received_at, device, patient, site, place, kind,
                    unit_sent, flags, report_id, code, other_flags, suspicions) FROM STDIN (FORMAT binary);
                COPY homeward.answer (taken_at, received_at, device, patient, site, place, value_type, report_id,
                    question, value) FROM STDIN (FORMAT binary)
                """, from: [reports, readings, answers], doing: "writing reports")
        }
    }

    private func append(_ report: StoredReport, ids: (device: Int32, patient: Int32, site: Int32)) {
        reports.beginRow(columns: 10)
        reports.instant(report.takenAt)
        reports.instant(report.receivedAt)
        if let sequence = report.sequence { reports.number(sequence) } else { reports.null() }
        if let battery = report.battery { reports.number(battery) } else { reports.null() }
        reports.number(ids.device)
        reports.number(ids.patient)
        reports.number(ids.site)
        reports.boolean(report.clockCorrected)
        reports.identifier(report.key.report)
        reports.bytes(report.raw)
        for reading in report.readings { append(reading, of: report, ids: ids) }
        for (place, answer) in report.answers.enumerated() { append(answer, place: place, of: report, ids: ids) }
    }

    private func append(
        _ reading: Reading, of report: StoredReport, ids: (device: Int32, patient: Int32, site: Int32)
    ) {
        readings.beginRow(columns: 15)
        readings.number(reading.value)
        readings.number(reading.sentValue)
        readings.instant(report.takenAt)
        readings.instant(report.receivedAt)
        readings.number(ids.device)
        readings.number(ids.patient)
        readings.number(ids.site)
        readings.number(Int16(clamping: reading.index))
        readings.number(Int16(reading.kind.rawValue))
        if let unit = reading.sentUnit { readings.number(Int16(unit.rawValue)) } else { readings.null() }
        let flags = report.clockCorrected ? reading.flags.union(.clockCorrected) : reading.flags
        readings.number(Int16(bitPattern: flags.rawValue))
        readings.identifier(report.key.report)
        if let code = reading.code { readings.text(code) } else { readings.null() }
        readings.texts(reading.otherFlags)
        if reading.suspicions.isEmpty { readings.null() } else { readings.texts(reading.suspicions.map(\.rawValue)) }
    }

    private func append(
        _ answer: SentAnswer, place: Int, of report: StoredReport,
        ids: (device: Int32, patient: Int32, site: Int32)
    ) {
        answers.beginRow(columns: 10)
        answers.instant(report.takenAt)
        answers.instant(report.receivedAt)
        answers.number(ids.device)
        answers.number(ids.patient)
        answers.number(ids.site)
        answers.number(Int16(clamping: place))
        let (type, value) = Self.text(of: answer.value)
        answers.text(type)
        answers.identifier(report.key.report)
        switch answer.question {
        case .known(let question): answers.text(question.rawValue)
        case .unknown(let question): answers.text(question)
        }
        answers.text(value)
    }

    /// `value` of `v_answer`: true or false, the shortest number, the string.
    private static func text(of value: AnswerValue) -> (type: String, value: String) {
        switch value {
        case .boolean(let value): ("boolean", value ? "true" : "false")
        case .number(let value): ("number", Int64(exactly: value).map { "\($0)" } ?? "\(value)")
        case .text(let value): ("text", value)
        }
    }
}
