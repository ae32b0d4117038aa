public import Clinical
public import Ingestion

extension PostgresCommitStore {
    // A reading is received at most minutes before its corrected taken_at, so received_at picks the partitions.
    private static let readHistory = Statement(
        name: "read_history",
        sql: """
            SELECT p.code, d.code, r.report_id, r.place, r.kind, r.value, r.value_sent, r.unit_sent, r.flags, r.taken_at,
                r.suspicions IS NOT NULL
            FROM unnest($1::int4[], $2::int2[], $3::timestamptz[]) AS need (patient, kind, since)
            JOIN homeward.reading r ON r.patient = need.patient AND r.kind = need.kind AND r.taken_at >= need.since
                AND r.received_at >= need.since - interval '1 hour'
            JOIN homeward.patient p ON p.id = r.patient
            JOIN homeward.device d ON d.id = r.device
            WHERE NOT EXISTS (
                SELECT FROM homeward.reading_correction c
                WHERE c.device = r.device AND c.report_id = r.report_id AND c.place = r.place)
            ORDER BY r.patient, r.taken_at
            """)

    private static let readAnswers = Statement(
        name: "read_answers",
        sql: """
            SELECT p.code, d.code, a.report_id, a.question, a.value_type, a.value, a.taken_at
            FROM unnest($1::int4[], $2::text[], $3::timestamptz[]) AS need (patient, question, since)
            JOIN homeward.answer a ON a.patient = need.patient AND a.question = need.question
                AND a.taken_at >= need.since AND a.received_at >= need.since - interval '1 hour'
            JOIN homeward.patient p ON p.id = a.patient
            JOIN homeward.device d ON d.id = a.device
            ORDER BY a.patient, a.taken_at
            """)

    public func history(
        of needs: [Identifier: HistoryNeed]
    ) throws(StoreFailure) -> [Identifier: PatientHistory] {
        connection.startCall()
        try resolve(needs.keys, in: \.patients)
        let readings = try pastReadings(of: needs)
        let answers = try pastAnswers(of: needs)
        var histories: [Identifier: PatientHistory] = [:]
        for patient in Set(readings.keys).union(answers.keys) {
            histories[patient] = PatientHistory(readings: readings[patient] ?? [], answers: answers[patient] ?? [])
        }
        return histories
    }

    private func pastReadings(
        of needs: [Identifier: HistoryNeed]
    ) throws(StoreFailure) -> [Identifier: [PastReading]] {
        let wanted = needs.flatMap { code, need in
            guard let patient = identifiers.patients[code] else { return [(Int32, Kind, Instant)]() }
            return need.kinds.map { (patient, $0.key, $0.value) }
        }
        guard !wanted.isEmpty else { return [:] }
        var parameters = PostgresParameters()
        parameters.addNumbers(.int4, of: wanted) { $0.0 }
        parameters.addNumbers(.int2, of: wanted) { Int16($0.1.rawValue) }
        parameters.addInstants(of: wanted) { max($0.2, Self.earliest) }
        let result = try connection.run(Self.readHistory, parameters, doing: "reading history")
        var readings: [Identifier: [PastReading]] = [:]
        for row in 0..<result.rowCount {
            guard let patient = result.identifier(row, 0), let reading = Self.pastReading(result, row) else {
                throw StoreFailure(kind: .misconfigured, message: "reading history: a row can't be understood")
            }
            readings[patient, default: []].append(reading)
        }
        return readings
    }

    /// Nothing is asked of the server for needs without questions, which are nearly all.
    private func pastAnswers(
        of needs: [Identifier: HistoryNeed]
    ) throws(StoreFailure) -> [Identifier: [PastAnswer]] {
        let wanted = needs.flatMap { code, need in
            guard let patient = identifiers.patients[code] else { return [(Int32, Question, Instant)]() }
            return need.questions.map { (patient, $0.key, $0.value) }
        }
        guard !wanted.isEmpty else { return [:] }
        var parameters = PostgresParameters()
        parameters.addNumbers(.int4, of: wanted) { $0.0 }
        parameters.addTexts(of: wanted) { $0.1.rawValue }
        parameters.addInstants(of: wanted) { max($0.2, Self.earliest) }
        let result = try connection.run(Self.readAnswers, parameters, doing: "reading answers")
        var answers: [Identifier: [PastAnswer]] = [:]
        for row in 0..<result.rowCount {
            guard let patient = result.identifier(row, 0), let answer = Self.pastAnswer(result, row) else {
                throw StoreFailure(kind: .misconfigured, message: "reading answers: a row can't be understood")
            }
            answers[patient, default: []].append(answer)
        }
        return answers
    }

    private static func pastAnswer(_ result: borrowing PostgresResult, _ row: Int) -> PastAnswer? {
        guard let device = result.identifier(row, 1), let report = result.identifier(row, 2, grammar: .report),
            let question = result.text(row, 3).flatMap(Question.init(rawValue:)), let type = result.text(row, 4),
            let text = result.text(row, 5), let takenAt = result.instant(row, 6)
        else { return nil }
        let value: AnswerValue
        switch type {
        case "boolean": value = .boolean(text == "true")
        case "number":
            guard let number = Double(text) else { return nil }
            value = .number(number)
        default: value = .text(text)
        }
        return PastAnswer(
            key: ReportKey(device: device, report: report), question: question, value: value, takenAt: takenAt)
    }

    /// Before any reader was made; a need that reaches further back asks for everything.
    private static let earliest = Instant(microseconds: 0)

    static func pastReading(_ result: borrowing PostgresResult, _ row: Int) -> PastReading? {
        guard let device = result.identifier(row, 1), let report = result.identifier(row, 2, grammar: .report),
            let index = result.int16(row, 3),
            let kind = result.int16(row, 4).flatMap({ UInt8(exactly: $0) }).flatMap({ Kind(rawValue: $0) }),
            let value = result.double(row, 5), let sent = result.double(row, 6),
            let flags = result.int16(row, 8), let takenAt = result.instant(row, 9),
            let isSuspect = result.boolean(row, 10)
        else { return nil }
        let unit = result.int16(row, 7).flatMap { UInt8(exactly: $0) }.flatMap { UCUMUnit(rawValue: $0) }
        return PastReading(
            key: ReportKey(device: device, report: report), index: Int(index), kind: kind, value: value,
            sentValue: sent, sentUnit: unit, flags: ReadingFlags(rawValue: UInt16(bitPattern: flags)),
            takenAt: takenAt, isSuspect: isSuspect)
    }

    public func sequences(of devices: [Identifier]) throws(StoreFailure) -> [DeviceSequence] {
        guard !devices.isEmpty else { return [] }
        connection.startCall()
        try resolve(devices, in: \.devices)
        var parameters = PostgresParameters()
        parameters.addNumbers(.int4, of: devices.compactMap { identifiers.devices[$0] }) { $0 }
        let result = try connection.run(DeviceState.readSequences, parameters, doing: "reading sequences")
        var sequences: [DeviceSequence] = []
        for row in 0..<result.rowCount {
            guard let device = result.identifier(row, 0), let highest = result.int64(row, 1) else { continue }
            sequences.append(
                DeviceSequence(
                    device: device, highest: highest, missing: result.text(row, 2).map(DeviceState.ranges) ?? []))
        }
        return sequences
    }
}
