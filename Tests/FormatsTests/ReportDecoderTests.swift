import Clinical
import Formats
import Testing

@Suite struct ReportDecoderTests {
    @Test func `the contract's example is decoded whole`() throws {
        let decoded = Decoded(exampleReport)
        #expect(decoded.fault == nil)
        let report = decoded.report
        #expect(report.id == Identifier("d41f-000123", grammar: .report))
        #expect(report.takenAt == Instant(microseconds: 1_795_421_730_000_000))
        #expect(report.sentAt == Instant(microseconds: 1_795_421_731_000_000))
        #expect(report.sequence == 123)
        #expect(report.battery == 87)
        #expect(
            report.readings == [
                SentReading(kind: .known(.systolic), value: .number(142), unit: .known(.millimetresOfMercury)),
                SentReading(kind: .known(.diastolic), value: .number(88), unit: .known(.millimetresOfMercury)),
                SentReading(kind: .known(.pulse), value: .number(71), unit: .known(.perMinute)),
            ])
        #expect(report.answers == [SentAnswer(question: .unknown("breathless"), value: .boolean(true))])
    }
}
