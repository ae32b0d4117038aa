import Alerting
import Clinical
import Cryptography
import Documents
import Formats
import Foundation
import Ingestion
import Registry

/// `homeward replay`: one line of output for each message, each opened or worsened episode, in input order.
public struct Replay {
    private let registryPath: String?
    private let protocolsPath: String?
    private let inputPath: String

    public init(registryPath: String?, protocolsPath: String?, inputPath: String) {
        self.registryPath = registryPath
        self.protocolsPath = protocolsPath
        self.inputPath = inputPath
    }

    /// 0 when every line could be read as a message, whatever became of it; 65 when a file is bad. A line that can't be
    /// read is told with its number and left out; those after it are replayed all the same.
    public func run() throws -> ExitStatus {
        let packs: PackLibrary
        let registry: Registry?
        do throws(DocumentProblems) {
            packs = try ProtocolFiles.library(directory: protocolsPath)
            registry = try registryPath.map { path throws(DocumentProblems) in
                try RegistryFiles.registry(paths: [path], packs: packs)
            }
        } catch {
            StandardError.write("\(error)\n")
            return .badData
        }
        guard let input = InputLines(path: inputPath) else {
            StandardError.write("\(inputPath): can't be read\n")
            return .badData
        }
        var replayer = Replayer(packs: packs, registry: registry)
        var output = BufferedOutput()
        var progress = Progress(label: "replayed", total: input.byteCount)
        defer { progress.end() }
        var number = 0
        var badLines = 0
        while let line = input.next() {
            number += 1
            progress.advance(to: input.bytesRead)
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }) { continue }
            let message: Message
            switch RecordedMessage.read(line) {
            case .success(let recorded): message = recorded
            case .failure(let problem):
                badLines += 1
                if badLines <= Self.badLinesTold {
                    output.flush()
                    StandardError.write("\(inputPath):\(number): \(problem.message)\n")
                }
                continue
            }
            let taken = try replayer.take(message)
            for line in ReplayOutput.lines(number: number, taken) { output.write(line) }
        }
        output.flush()
        guard badLines > 0 else { return .success }
        if badLines > Self.badLinesTold {
            StandardError.write("\(inputPath): \(badLines) lines can't be read as messages\n")
        }
        return .badData
    }

    /// A file that is no recording at all has nothing but bad lines.
    private static let badLinesTold = 20
}

/// A recorded message as a line of NDJSON holds it.
enum RecordedMessage {
    struct Problem: Error {
        var message: String
    }

    /// `payload` that is a string is the raw text; anything else is taken byte for byte as it stands.
    static func read(_ line: [UInt8]) -> Result<Message, Problem> {
        let members: [JSONReader.Member]
        do throws(JSONFault) {
            members = try JSONReader.members(line.span)
        } catch {
            return .failure(Problem(message: "not a JSON object: \(error)"))
        }
        func raw(_ name: String) -> [UInt8]? { members.first { $0.name == name }.map { Array(line[$0.range]) } }
        func value(_ name: String) -> JSONValue? {
            guard let bytes = raw(name) else { return nil }
            do throws(JSONFault) { return try JSONReader.value(bytes.span) } catch { return nil }
        }
        guard let topic = value("topic")?.string else {
            return .failure(Problem(message: "topic: a string is missing"))
        }
        guard let received = value("received_at")?.string, let receivedAt = RFC3339.parse(received) else {
            return .failure(Problem(message: "received_at: an RFC 3339 time is missing"))
        }
        guard var payload = raw("payload") else { return .failure(Problem(message: "payload: missing")) }
        if payload.first == UInt8(ascii: "\"") {
            do throws(JSONFault) {
                payload = try JSONReader.text(payload.span)
            } catch {
                return .failure(Problem(message: "payload: \(error)"))
            }
        }
        let retained = value("retained")
        guard retained == nil || retained?.bool != nil || retained == .null else {
            return .failure(Problem(message: "retained: true or false expected"))
        }
        return .success(
            Message.recorded(
                topic: Array(topic.utf8), payload: payload, retained: retained?.bool ?? false, receivedAt: receivedAt))
    }
}

extension Message {
    /// As the mqtt thread would have put it into a slot.
    static func recorded(topic: [UInt8], payload: [UInt8], retained: Bool, receivedAt: Instant) -> Message {
        let isTooLarge = payload.count > maximumPayload
        return Message(
            topic: Array(topic.prefix(maximumTopic)), payload: Array(payload.prefix(maximumPayload)),
            fullLength: payload.count, digest: isTooLarge ? sha256(payload.span) : nil, retained: retained,
            receivedAt: receivedAt)
    }
}
