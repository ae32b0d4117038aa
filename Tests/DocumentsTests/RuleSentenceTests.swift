import Clinical
import Documents
import Testing

/// What a nurse reads of the rules beyond the bands.
@Suite struct RuleSentenceTests {
    private let monday = Diary.monday

    /// As a sentence names it: the beginning of the content's hash.
    private func version(_ pack: String) -> String {
        BuiltInPacks.library()[pack].map { String($0.contentHash.prefix(8)) } ?? "?"
    }

    private func summary(_ rule: String, _ diary: Diary, _ last: Diary.Entry) -> String? {
        var diary = diary
        return diary.take(last).outcome(rule).map {
            Sentence.summary(
                of: $0, takenAt: last.takenAt, receivedAt: last.takenAt + .seconds(2), timeZone: "Europe/London")
        }
    }

    @Test func aChange() {
        var diary = Diary(["heart-failure"])
        diary.take(Diary.Entry(id: "a", takenAt: monday - .days(2), readings: [Diary.reading(.weight, 80.2)]))
        let gained = Diary.Entry(id: "b", takenAt: monday, readings: [Diary.reading(.weight, 82.6)])
        #expect(
            summary("weight-gain", diary, gained)
                == "Weight 82.6 kg on Mon 23 Nov at 08:15, up 2.4 kg from 80.2 kg on Sat 21 Nov at 08:15, at or above "
                + "the amber limit of 2 kg in 3 days (heart-failure pack \(version("heart-failure")), ESC; NHS "
                + "NCIC; BEAT-HF).")
        var swollen = gained
        swollen.answers = Diary.yes(.moreSwelling)
        #expect(
            summary("weight-gain", diary, swollen)
                == "Weight 82.6 kg on Mon 23 Nov at 08:15, up 2.4 kg from 80.2 kg on Sat 21 Nov at 08:15, at or above "
                + "the red limit of 2 kg in 3 days together with more-swelling (heart-failure pack "
                + "\(version("heart-failure")), ESC; NHS NCIC; "
                + "BEAT-HF).")
    }

    @Test func aDifference() {
        let entry = Diary.Entry(id: "a", takenAt: monday, readings: [Diary.reading(.spo2, 90)])
        #expect(
            summary("spo2-below-baseline", Diary(["copd"]) { $0.baselines = [.spo2: 94] }, entry)
                == "SpO2 90 % on Mon 23 Nov at 08:15, 4 % below the baseline of 94 %, at or above the amber limit of "
                + "3 % (copd pack \(version("copd")), proposal).")
    }

    @Test func answers() {
        var diary = Diary(["copd"])
        diary.take(
            Diary.Entry(id: "a", takenAt: monday - .days(1), answers: Diary.yes(.moreBreathless, .sputumColour)))
        #expect(
            summary(
                "copd-symptoms", diary,
                Diary.Entry(id: "b", takenAt: monday, answers: Diary.yes(.sputumColour, .sputumVolume)))
                == "Copd symptoms: more-breathless, sputum-colour, sputum-volume on Mon 23 Nov at 08:15, 2 or more "
                + "on 2 "
                + "days running being red (copd pack \(version("copd")), Anthonisen type (read in a secondary copy)).")
    }

    @Test func aScore() {
        let values: [(Kind, Double)] = [
            (.respiratoryRate, 24), (.spo2, 92), (.oxygen, 2), (.systolic, 120), (.pulse, 80), (.consciousness, 0),
            (.temperature, 36),
        ]
        let entry = Diary.Entry(
            id: "a", takenAt: monday, readings: values.enumerated().map { Diary.reading($1.0, $1.1, index: $0) })
        #expect(
            summary("news2", Diary(), entry)
                == "NEWS2 7 on scale 1, high: respiratory rate 24 scores 2, SpO2 92 scores 2, oxygen 2 scores 2, "
                + "systolic pressure 120 scores 0, pulse 80 scores 0, consciousness A scores 0, temperature 36 "
                + "scores 1, "
                + "a total of 7 or more being red (adult pack \(version("adult")), Royal College of Physicians, "
                + "NEWS2 (2017)).")
    }

    @Test func aMeanAndACount() {
        var diary = Diary(["hypertension"])
        for place in 0..<13 as Range<Int64> {
            diary.take(
                Diary.Entry(
                    id: "r\(place)", takenAt: monday - .days(6) + .hours(place * 9),
                    readings: [Diary.reading(.systolic, 141, flags: place == 3 || place > 11 ? .irregularPulse : [])]))
        }
        let entry = Diary.Entry(
            id: "z", takenAt: monday, readings: [Diary.reading(.systolic, 141, flags: .irregularPulse)])
        #expect(
            summary("home-mean", diary, entry)
                == "Mean systolic pressure 141 mmHg, of 12 readings on 5 days, at or above 135 mmHg, the amber "
                + "limit of "
                + "the mean of 7 days (hypertension pack \(version("hypertension")), NG136; NHS home blood pressure "
                + "leaflet).")
        for place in 0..<2 as Range<Int64> {
            diary.take(
                Diary.Entry(
                    id: "y\(place)", takenAt: monday - .hours(place + 1),
                    readings: [Diary.reading(.systolic, 120, flags: .irregularPulse)]))
        }
        #expect(
            summary("irregular-pulse", diary, entry)
                == "Irregular-pulse in 4 of the last 7 reports, 3 of 7 being amber (hypertension pack "
                + "\(version("hypertension")), proposal).")
    }
}
