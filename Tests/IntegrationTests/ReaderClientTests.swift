import Foundation
import TestSupport
import Testing

extension EndToEndTests {
    private static let ward = """
        sites:
          - { code: north, name: North Practice, timezone: Europe/London }
          - { code: south, name: South Practice, timezone: Europe/London }
        care_managers:
          - { code: cm-01, site: north, name: Care manager 1, webhook: "WEBHOOK" }
        patients:
          - { code: P0001, site: north, key_worker: cm-01 }
          - { code: P0002, site: north, key_worker: cm-01 }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
          - { code: dev-0002, site: north, pairings: [ { patient: P0002, from: 2020-01-01T00:00:00Z } ] }
          - { code: dev-0003, site: north, pairings: [] }
        """

    /// deploy/clients, which the device maker's guide shows. They begin while nobody listens: the broker confirms each report
    /// and forgets it, which only a missing receipt tells.
    @Test func `the guide's clients keep a report until its receipt comes, and send it again`() throws {
        let stack = try Stack(registry: Self.ward)
        let clients = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../deploy/clients")
            .standardized
        let reading = #"[{"kind":"spo2","value":97,"unit":"%"}]"#
        func start(_ file: String, _ arguments: [String], input: String) throws -> (process: Process, output: URL) {
            let output = stack.directory.appending(path: "\(file).out")
            let given = stack.directory.appending(path: "\(file).in")
            try Data().write(to: output)
            try Data(input.utf8).write(to: given)
            let process = Process()
            process.executableURL = clients.appending(path: file)
            process.arguments = arguments
            process.environment = ["PATH": "/usr/bin:/bin", "READER_RETRY": "1", "READER_PATIENCE": "1"]
            process.standardInput = try FileHandle(forReadingFrom: given)
            process.standardOutput = try FileHandle(forWritingTo: output)
            try process.run()
            return (process, output)
        }
        let port = "\(stack.broker.port)"
        let python = stack.directory.appending(path: "python").path
        let shell = stack.directory.appending(path: "shell").path
        let running = [
            try start(
                "reader.py", ["127.0.0.1:\(port)", "north", "dev-0001", python], input: "\(reading)\n\(reading)\n"),
            try start("reader.sh", ["127.0.0.1", port, "north", "dev-0002", shell, reading], input: ""),
        ]
        defer { for client in running where client.process.isRunning { client.process.terminate() } }
        for (outbox, count) in [(python, 2), (shell, 1)] {
            #expect(
                eventually {
                    let names = try? FileManager.default.contentsOfDirectory(atPath: outbox)
                    return names?.count { $0.hasSuffix(".json") } == count
                }, "\(outbox)")
        }
        try stack.startReadyDaemon()
        for client in running {
            #expect(eventually(within: .seconds(180)) { !client.process.isRunning }, "\(stack.log.suffix(2000))")
            guard !client.process.isRunning else { continue }
            #expect(client.process.terminationStatus == 0)
        }
        let receipts = try running.map {
            try String(contentsOf: $0.output, encoding: .utf8).split(separator: "\n")
        }
        #expect(receipts.map(\.count) == [2, 1])
        for receipt in receipts.joined() {
            #expect(["stored", "duplicate"].contains(TestReader.member("outcome", of: String(receipt))), "\(receipt)")
        }
        #expect(
            try stack.query("SELECT device, seq FROM homeward.v_report ORDER BY device, seq")
                == [["dev-0001", "1"], ["dev-0001", "2"], ["dev-0002", "1"]])

        // MQTT does not say who published, and this broker has no ACL: what Homeward knows by itself still holds.
        var anybody = try TestReader(port: stack.broker.port, device: "dev-0001")
        try anybody.publish(Payload.report("r-south"), topic: "homeward/v1/south/dev-0001/report")
        #expect(TestReader.member("reason", of: try anybody.receipted("r-south")) == "unknown-device")
        let named = #""patient":"P0002","device":"dev-0002","readings""#
        try anybody.publish(Payload.report("r-named").replacing(#""readings""#, with: named))
        #expect(TestReader.member("outcome", of: try anybody.receipted("r-named")) == "stored")
        #expect(
            try stack.query("SELECT device, patient FROM homeward.v_report WHERE report_id = 'r-named'")
                == [["dev-0001", "P0001"]], "who the patient is says the pairing, never the payload")
        var unpaired = try TestReader(port: stack.broker.port, device: "dev-0003")
        try unpaired.publish(Payload.report("r-unpaired"))
        #expect(TestReader.member("reason", of: try unpaired.receipted("r-unpaired")) == "unpaired")
    }
}
