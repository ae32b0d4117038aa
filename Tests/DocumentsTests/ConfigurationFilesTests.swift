import Clinical
import Formats
import Foundation
import Registry
import Testing

@testable import Documents

/// What the configuration names: secrets, templates, whole files.
extension ConfigurationTests {
    @Test func secretsAreReadAndNeverTold() throws {
        let directory = try TemporaryDirectory()
        try directory.write("broker-password", "geheim-1\n")
        try directory.write("credentials/database-password", "geheim-2\r\n")
        try directory.write("credentials/broker-password", "the file goes first")
        try directory.write("webhook-secret", "geheim-3\n\n")
        try directory.write("ca.pem", "x")
        let yaml = """
            broker: { host: h.example.org, username: u, password_file: broker-password, tls: { ca_file: ca.pem } }
            database: { url: "postgresql://h@127.0.0.1/h", password_file: database-password }
            sites: ["*"]
            delivery:
              webhook: { secret_file: webhook-secret }
              sms: { url: "https://gw.example.org/?key=geheim-4", body: "{to} {text} geheim-5" }
            """
        let configuration = try load(
            yaml, ["HOME": "/h", "CREDENTIALS_DIRECTORY": directory.path + "/credentials"],
            path: directory.path + "/h.yaml")
        #expect(configuration.broker.password == "geheim-1")
        #expect(configuration.database.password == "geheim-2")
        #expect(configuration.delivery.webhook?.secret == Array("geheim-3\n".utf8))
        #expect(configuration.broker.tls?.caFile == directory.path + "/ca.pem")
        var told = "\(configuration) \(configuration.broker) \(configuration.database) \(configuration.delivery)"
        told += String(reflecting: configuration) + String(reflecting: configuration.delivery)
        dump(configuration, to: &told)
        dump(configuration.delivery.sms, to: &told)
        dump(configuration.delivery.webhook, to: &told)
        #expect(told.contains("broker homeward@h.example.org:1883 with TLS"))
        #expect(!told.contains("geheim") && !told.contains("103, 101, 104"))
    }

    @Test func templatesOfOnesOwnAreReadAndCheckedAtTheirLine() throws {
        let directory = try TemporaryDirectory()
        let yaml = Self.minimal + "delivery: { templates: words }\n"
        let path = directory.path + "/h.yaml"
        try directory.write("words/sms.txt", "# by hand\n{severity}: {title} {url}\n")
        let own = try load(yaml, path: path).delivery.templates
        #expect(own.sms.filled { "<\($0)>" } == "<severity>: <title> <url>")
        // What is not there is the built-in one.
        #expect(own.emailBody == MessageTemplates.builtIn().emailBody)
        try directory.write("words/email.txt", "# r\nSubject: {severity}\n\nline\n{name}\n")
        try directory.write("words/sms.txt", "one\ntwo\n")
        let found = problems(yaml, path: path)
        #expect(found.count == 2)
        #expect(found.first?.contains("/words/email.txt:5: there is no place {name}: known are class, late") == true)
        #expect(found.last?.hasSuffix("/words/sms.txt:1: expected one line") == true)
    }

    @Test func whatCanBeServed() throws {
        #expect(try load(Self.minimal).servedChannels == ServedChannels())
        let all = try load(
            Self.minimal
                + "delivery: { smtp: { host: 127.0.0.1, from: h@example.org }, mqtt: { sites: [north] }, "
                + "sms: { url: \"http://127.0.0.1/\", body: \"{to} {text}\" } }\n"
        ).servedChannels
        #expect(all.email && all.sms)
        #expect(try all.hasDisplay(#require(Identifier("north"))) && !all.hasDisplay(#require(Identifier("south"))))
        #expect(try load(Self.minimal + "delivery: { mqtt: {} }\n").servedChannels.displays == .all)
    }

    @Test func badSecretsAreToldAtTheirLine() throws {
        let directory = try TemporaryDirectory()
        try directory.write("empty", "\n")
        try directory.write("lines", "a\nb\n")
        let path = directory.path + "/h.yaml"
        for (name, problem) in [
            ("empty", "\(directory.path)/empty is empty"), ("lines", "the password in it is not one line of UTF-8"),
            (".", "\(directory.path)/ can't be read"),
            ("none", "there is no file \(directory.path)/none, nor a credential of that name"),
            ("../../etc/none", "there is no file"),
        ] {
            let yaml =
                "sites: [\"*\"]\nbroker: { host: localhost }\n"
                + "database: { url: dbname=h, password_file: \"\(name)\" }\n"
            let found = problems(yaml, ["HOME": "/h", "CREDENTIALS_DIRECTORY": "/none"], path: path)
            #expect(found.count == 1)
            #expect(found.first?.hasPrefix("\(path):3: database.password_file: ") == true)
            #expect(found.first?.contains(problem) == true, "\(found)")
        }
    }

    @Test func aFileThatIsNotThere() {
        #expect(throws: DocumentProblems.self) { try Configuration.load(path: "/nonexistent/h.yaml", environment: [:]) }
    }

    @Test func theShippedExamplesAreGood() throws {
        let config = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../config")
            .standardizedFileURL.path(percentEncoded: false)
        let configuration = try Configuration.load(path: config + "/homeward.yaml", environment: Self.home)
        #expect(configuration.notices == [])
        let outcome = RegistryBuilder(packs: BuiltInPacks.library())
            .build(try RegistryFile.read(paths: [config + "/registry.yaml"]))
        #expect(outcome.problems == [])
        #expect(outcome.uncovered == [])
        #expect(outcome.notices.count == 3)
        #expect(outcome.registry.patients.count == 3)
    }
}
