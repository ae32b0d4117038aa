import Clinical
import Testing

@Suite struct SentenceTests {
    private func summary(
        _ readings: [Reading], _ plan: Plan, received: Instant = monday + .seconds(2), zone: String = "Europe/London",
        history: [PastReading] = []
    ) -> String? {
        let verdict = judge(
            report("r", readings, received: received), plan: plan, history: PatientHistory(readings: history))
        return verdict.assessments.first { $0.level != nil }.map {
            Sentence.summary(of: $0, takenAt: monday, receivedAt: received, timeZone: zone)
        }
    }

    @Test func sentences() {
        #expect(
            summary([reading(.spo2, 90)], plan())
                == "SpO2 90 % on Mon 23 Nov at 08:15, at or below the red limit of 92 % (adult pack aa, a source).")
        #expect(
            summary([reading(.temperature, 102.4, .fahrenheit)], plan())
                == "Temperature 102.4 °F (39.1 °C) on Mon 23 Nov at 08:15, at or above the amber limit of 39.1 °C "
                + "(adult pack aa, a source).")
        #expect(
            summary([reading(.glucose, 53, .milligramsPerDecilitre)], plan(["sugar"]))
                == "Glucose 53 mg/dL on Mon 23 Nov at 08:15, below the red limit of 54 mg/dL (sugar pack dd, a "
                + "source).")
        #expect(
            summary([reading(.peakFlow, 3, .litresPerSecond)], plan(["lungs"], baselines: [.peakFlow: 400]))
                == "Peak flow 3 L/s (180 L/min) on Mon 23 Nov at 08:15, below the red limit of 200 L/min "
                + "(lungs pack ee, 50 % of personal best 400 L/min, a source).")
        #expect(
            summary([reading(.glucose, 1.1, flags: .outOfRangeLow)], plan())
                == "Glucose LO (below the meter's 1.1 mmol/L) on Mon 23 Nov at 08:15, outside what the meter can "
                + "measure, which is red at once.")
        let voice = Reading(index: 0, kind: .consciousness, value: 2, code: "V", sentValue: 2, sentUnit: nil)
        #expect(
            summary([voice], plan())
                == "Consciousness V (responds to voice) on Mon 23 Nov at 08:15, where C or worse is red (adult pack "
                + "aa, a source).")
    }

    @Test func aValueThatTheChartRounds() {
        #expect(
            summary([reading(.spo2, 92.4)], plan())
                == "SpO2 92.4 % (92 on the chart) on Mon 23 Nov at 08:15, at or below the red limit of 92 % (adult "
                + "pack aa, a source).")
        // Converted ones are shown at the chart's resolution anyway.
        #expect(
            summary([reading(.systolic, 12, .kilopascal)], plan())
                == "Systolic pressure 12 kPa (90 mmHg) on Mon 23 Nov at 08:15, at or below the red limit of 90 mmHg "
                + "(adult pack aa, a source).")
    }

    @Test func doubtsLatenessAndTwice() {
        var doubtful = reading(.systolic, 78)
        doubtful.suspicions = [.smallPulsePressure]
        #expect(
            summary([doubtful], plan(), received: monday + .minutes(90))
                == "Systolic pressure 78 mmHg on Mon 23 Nov at 08:15, at or below the red limit of 90 mmHg (adult "
                + "pack aa, a source); suspect (systolic and diastolic less than 10 mmHg apart), repeat asked; received "
                + "late, on "
                + "Mon 23 Nov at 09:45.")
        #expect(
            summary(
                [reading(.pulse, 115)], plan(["heart"]), history: [past("a", .pulse, 112, at: monday - .hours(12))])
                == "Pulse 115 /min on Mon 23 Nov at 08:15, at or above the red limit of 111 /min (heart pack bb, a "
                + "source), "
                + "as was 112 /min on Sun 22 Nov at 20:15.")
    }

    @Test func ownLimitInAnotherZone() {
        let own = OwnLimit(
            kind: .spo2, low: [Threshold(severity: .red, limit: Limit(value: 85, inclusive: false))], by: "cm-01",
            reason: "prescribed 88-92")
        #expect(
            summary([reading(.spo2, 84)], plan(limits: [own]), zone: "America/New_York")
                == "SpO2 84 % on Mon 23 Nov at 03:15, below the red limit of 85 % (the patient's own limit, set by "
                + "cm-01).")
    }

    /// Both nights on which London's clocks change.
    @Test(
        arguments: [
            (1_774_745_940, "00:59"), (1_774_746_000, "02:00"), (1_792_889_940, "01:59"), (1_792_890_000, "01:00"),
        ] as [(Int64, String)])
    func nightsOfClockChange(seconds: Int64, time: String) throws {
        let taken = Instant(microseconds: seconds * 1_000_000)
        let verdict = judge(report("r", [reading(.spo2, 90)], at: taken), plan: plan())
        let red = try #require(verdict.assessments.first)
        let text = Sentence.summary(of: red, takenAt: taken, receivedAt: taken, timeZone: "Europe/London")
        #expect(text.contains("at \(time),"), "\(text)")
    }

    @Test func lateAndUnverifiedReds() throws {
        let received = monday + .hours(30)
        let late = try #require(
            judge(report("r", [reading(.spo2, 90)], received: received), plan: plan()).lateReds.first)
        #expect(
            Sentence.lateRed(of: late, takenAt: monday, receivedAt: received, timeZone: "Europe/London")
                == "SpO2 90 % on Mon 23 Nov at 08:15, at or below the red limit of 92 % (adult pack aa, a source); "
                + "received "
                + "late, on Tue 24 Nov at 14:15, too late to alert as red.")
        let red = try #require(immediateReds(in: [reading(.spo2, 90)], at: monday, plan: plan()).first)
        #expect(
            Sentence.unverifiedRed(of: red, reason: .clockFuture, receivedAt: monday, timeZone: "Europe/London")
                == "Unverified: SpO2 90 %, at or below the red limit of 92 % (adult pack aa, a source), in a report "
                + "received "
                + "on Mon 23 Nov at 08:15 that was refused (clock-future: its time lies ahead).")
        let several = immediateReds(
            in: [reading(.pulse, 132), reading(.spo2, 80, index: 1)], at: monday, plan: plan())
        #expect(
            Sentence.unverifiedRed(
                of: several[0], others: Array(several.dropFirst()), reason: .conflict, receivedAt: monday,
                timeZone: "Europe/London")
                == "Unverified: SpO2 80 %, at or below the red limit of 92 % (adult pack aa, a source), in a report "
                + "received "
                + "on Mon 23 Nov at 08:15 that was refused (conflict: another report has its id); red too: Pulse 132 "
                + "/min.")
    }
}
