import Foundation
import TestSupport
import Testing

/// `replay --from-database` and `readings correct` as a person types them, over what a daemon has stored.
@Suite(.serialized) struct WhatIfCommandTests {
    @Test func `what was raised, what would be, and a reading that was entered in error`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        for (id, value) in [("r1", 93), ("r2", 97), ("r3", 90)] {
            try reader.publish(Payload.report(id, readings: "{\"kind\":\"spo2\",\"value\":\(value),\"unit\":\"%\"}"))
            _ = try reader.receipted(id)
        }
        let config = stack.configurationFile.path
        let raised = try stack.query(
            "SELECT alert_id, rule, severity FROM homeward.v_alert WHERE class = 'clinical' ORDER BY raised_at")
        #expect(raised.map { [$0[1], $0[2]] } == [["spo2-low", "amber"], ["spo2-low", "red"]])

        let same = try stack.run(
            "replay", "--from-database", "--config", config, "--patient", "P0001", "--since", "2026-01-01", "--json")
        #expect(same.status == 0, "\(same.errors)")
        let lines = same.output.split(separator: "\n")
        #expect(lines.count == 3)
        for (line, alert) in zip(lines, raised) {
            #expect(line.contains(#""change":"same","was":{"alert":"\#(alert[0])""#), "\(line)")
        }
        #expect(lines.last?.contains(#""would_be":{"red":1,"#) == true)

        let limits = stack.directory.appending(path: "limits.yaml")
        try """
        patients:
          - code: P0001
            site: north
            limits: [ { kind: spo2, red_below: 88, amber_below: 91, by: cm-01, reason: prescribed 88-92 } ]
        """.write(to: limits, atomically: true, encoding: .utf8)
        let wider = try stack.run(
            "replay", "--from-database", "--config", config, "--site", "north", "--since", "2026-01-01",
            "--registry", limits.path)
        #expect(wider.status == 0, "\(wider.errors)")
        #expect(wider.output.contains("no longer raised) SpO2 93 %"), "\(wider.output)")
        #expect(wider.output.contains("of another severity) SpO2 90 %"))
        #expect(wider.output.contains("red per patient-week"))
        #expect(wider.errors.isEmpty)

        let corrected = try stack.run(
            "readings", "--config", config, "correct", "--site", "north", "--device", "dev-0001", "--report", "r3",
            "--reading", "0", "--by", "cm-01", "--reason", "no finger in it")
        #expect(corrected.status == 0, "\(corrected.errors)")
        #expect(corrected.output.contains("nothing else caused this alert, which stays open"))
        #expect(
            try stack.query("SELECT report_id, status FROM homeward.v_reading ORDER BY report_id") == [
                ["r1", "accepted"], ["r2", "accepted"], ["r3", "entered-in-error"],
            ])
        let shown = try stack.run("alerts", "--config", config, "show", raised[1][0])
        #expect(shown.output.contains("marked entered in error by cm-01 because no finger in it"))
        #expect(shown.output.contains("\"on_behalf_of\": \"cm-01\""))
        let listed = try stack.run(
            "readings", "--config", config, "list", "--patient", "P0001", "--since", "2026-01-01")
        #expect(listed.output.split(separator: "\n").count == 3, "\(listed.errors)")
        #expect(
            listed.output.contains(
                "dev-0001  r3  0  spo2  90 %  entered-in-error  by cm-01 because no finger in it"), "\(listed.output)")
        let again = try stack.run(
            "readings", "--config", config, "correct", "--site", "north", "--device", "dev-0001", "--report", "r3",
            "--reading", "0", "--by", "cm-01", "--reason", "once more")
        #expect(again.status == 65 && again.errors.contains("it was marked before"))
        // The next red speaks although the alert is open.
        try reader.publish(Payload.report("r4", readings: #"{"kind":"spo2","value":91,"unit":"%"}"#))
        _ = try reader.receipted("r4")
        #expect(
            try stack.value(
                "SELECT transition FROM homeward.alert_event WHERE report_id = 'r4' AND alert = '\(raised[1][0])'")
                == "reopened")
    }

    @Test func `what is asked for wrongly is told, and a file's replay takes no database`() throws {
        let stack = try Stack()
        let config = stack.configurationFile.path
        let database = ["replay", "--from-database", "--config", config]
        for (arguments, status) in [
            (database + ["--patient", "P0001"], 64), (database + ["--since", "2026-01-01"], 64),
            (database + ["--since", "2026-01-01", "--patient", "P0001", "x.ndjson"], 64),
            (database + ["--since", "never", "--patient", "P0001"], 64),
            (database + ["--since", "2026-01-01", "--patient", "P 1"], 64),
            (database + ["--since", "2026-01-01", "--patient", "P0099"], 65),
            (database + ["--since", "2026-01-01", "--patient", "P0001", "--protocols", "/nowhere"], 65),
            (["replay", "--patient", "P0001", "-"], 64), (["replay"], 64),
            (
                [
                    "readings", "--config", config, "correct", "--site", "north", "--device", "dev-0001", "--report",
                    "r1", "--reading", "0", "--by", "cm-01", "--reason", " ",
                ], 64
            ),
            (
                [
                    "readings", "--config", config, "correct", "--site", "north", "--device", "dev-0001", "--report",
                    "r1", "--reading", "0", "--by", "cm-01", "--reason", "typo",
                ], 65
            ),
        ] as [([String], Int32)] {
            let ended = try Stack.run(arguments)
            #expect(ended.status == status, "\(arguments): \(ended.errors)")
            #expect(!ended.errors.isEmpty)
        }
    }
}
