import Clinical
import Formats
import Foundation
import Registry
import Testing

@testable import Documents

@Suite struct ConfigurationTests {
    static let minimal = "broker: { host: 127.0.0.1 }\ndatabase: { url: postgresql://h@127.0.0.1/h }\nsites: [\"*\"]\n"
    static let home = ["HOME": "/home/x"]

    func load(
        _ yaml: String, _ environment: [String: String] = home, path: String = "/nowhere/h.yaml"
    ) throws(DocumentProblems) -> Configuration {
        try Configuration.parse(Array(yaml.utf8), path: path, environment: environment)
    }

    func problems(
        _ yaml: String, _ environment: [String: String] = home, path: String = "/nowhere/h.yaml"
    ) -> [String] {
        do {
            _ = try load(yaml, environment, path: path)
            return []
        } catch {
            return error.problems.map { $0.description.replacing("/nowhere/h.yaml", with: "h.yaml") }
        }
    }

    @Test func everythingElseHasADefault() throws {
        let configuration = try load(Self.minimal)
        #expect(configuration.broker.port == 1883)
        #expect(configuration.broker.version == .mqtt5)
        #expect(configuration.broker.clientID == "homeward")
        #expect(configuration.broker.tls == nil && !configuration.broker.isInsecureAllowed)
        #expect(configuration.sites == .init(isAll: true, codes: []))
        #expect(configuration.protocolsDirectory == nil)
        #expect(configuration.spool == .init(directory: "/home/x/.local/state/homeward", quota: 1 << 30))
        #expect(
            configuration.deadlines == .init(durable: .seconds(2), database: .seconds(2), delivery: .seconds(10)))
        #expect(
            configuration.http
                == .init(host: "127.0.0.1", port: 8480, publicURL: "http://127.0.0.1:8480", tls: nil))
        #expect(configuration.metrics == .init(host: "127.0.0.1", port: 8480))
        #expect(configuration.delivery.webhook?.secret == nil && configuration.delivery.sms == nil)
        #expect(configuration.log == .init(level: .info, format: .text))
        #expect(configuration.notices == [])
    }

    @Test(arguments: ["", "# nothing\n", "---\n"])
    func threeSettingsHaveNoDefault(yaml: String) {
        #expect(
            problems(yaml) == [
                "h.yaml:1: broker.host is missing", "h.yaml:1: database.url is missing",
                "h.yaml:1: sites is missing",
            ])
    }

    /// Added to, or in place of, the minimal file's lines.
    @Test(arguments: [
        (
            "broker: { hots: h }",
            "h.yaml:1: broker.host is missing|"
                + "h.yaml:1: unknown key \"broker.hots\"; the nearest known key is \"host\""
        ),
        ("broker: 127.0.0.1", "h.yaml:1: broker: expected a mapping, found \"127.0.0.1\""),
        (
            "broker: { host: 127.0.0.1, port: 70000 }",
            "h.yaml:1: broker.port: expected a port from 1 to 65535, found the number 70000"
        ),
        (
            "broker: { host: \"mqtt://h:1883\" }",
            "h.yaml:1: broker.host: expected a host name or address, found \"mqtt://h:1883\""
        ),
        (
            "broker: { host: 127.0.0.1, protocol: 5 }",
            "h.yaml:1: broker.protocol: expected text, found the number 5: put it in quotes"
        ),
        (
            "broker: { host: 127.0.0.1, protocol: \"4\" }",
            "h.yaml:1: broker.protocol: expected \"5\" or \"3.1.1\", found \"4\""
        ),
        (
            "broker: { host: 127.0.0.1, insecure: yes }",
            "h.yaml:1: broker.insecure: expected true or false, found \"yes\""
        ),
        (
            "broker:\n  host: broker.example.org",
            "h.yaml:2: broker.host: broker.example.org is not this machine and there is no tls: "
                + "plain text is refused unless broker.insecure is true"
        ),
        (
            "broker:\n  host: 127.example.org",
            "h.yaml:2: broker.host: 127.example.org is not this machine and there is no tls: "
                + "plain text is refused unless broker.insecure is true"
        ),
        (
            "broker: { host: 127.0.0.1, password: x, username: u }",
            "h.yaml:1: broker.password: a secret never stands here: put it into a file and name that in password_file"
        ),
        (
            "broker: { host: 127.0.0.1, tls: { ca_file: ca.pem } }",
            "h.yaml:1: broker.tls.ca_file: there is no file /nowhere/ca.pem"
        ),
        (
            "broker: { host: 127.0.0.1, tls: { certificate_file: /etc/passwd } }",
            "h.yaml:1: broker.tls.certificate_file: wants key_file beside it"
        ),
        (
            "broker: { host: 127.0.0.1, username: u, password_file: secret }",
            "h.yaml:1: broker.password_file: there is no file /nowhere/secret"
        ),
        (
            "database: { url: \"postgresql://h:geheim@127.0.0.1/h\" }",
            "h.yaml:1: database.url: holds a password: put it into a file and name that in password_file"
        ),
        (
            "database: { url: host=127.0.0.1 password = 'geheim' }",
            "h.yaml:1: database.url: holds a password: put it into a file and name that in password_file"
        ),
        (
            "database: { url: \"postgresql://db.example.org/h\" }",
            "h.yaml:1: database.url: may go in plain text to another machine: add sslmode=verify-full (or require); "
                + "plain text is refused unless broker.insecure is true"
        ),
        ("database: { url: \"127.0.0.1:5432\" }", "h.yaml:1: database.url: is no libpq URI or conninfo string"),
        ("sites: north", "h.yaml:1: sites: expected a list, found \"north\""),
        ("sites: []", "h.yaml:1: sites: is empty: name the sites, or [\"*\"] for all of them"),
        ("sites: [\"*\", north]", "h.yaml:1: sites: \"*\" is all sites: no other stands beside it"),
        ("sites: [north, north]", "h.yaml:1: sites: names a site twice"),
        ("sites: [\"no rth\"]", "h.yaml:1: sites: expected a code of 1 to 64 of [A-Za-z0-9_-], found \"no rth\""),
        (
            "sites: [\"no/rth\", north]",
            "h.yaml:1: sites: expected a code of 1 to 64 of [A-Za-z0-9_-], found \"no/rth\""
        ),
        ("protocols: packs", "h.yaml:1: protocols: there is no directory /nowhere/packs"),
        (
            "spool: { quota: 1GB }",
            "h.yaml:1: spool.quota: expected a size such as 512KiB, 64MiB or 1GiB, found \"1GB\""
        ),
        ("spool: { quota: 1MiB }", "h.yaml:1: spool.quota: is too small: at least 16MiB, or 0 to switch the spool off"),
        (
            "deadlines: { durable: 20s }",
            "h.yaml:1: deadlines.durable: must be below the broker's keepalive of 20s, "
                + "or a hold would cost the connection"
        ),
        ("deadlines: { durable: 0s }", "h.yaml:1: deadlines.durable: must be longer than nothing"),
        (
            "deadlines: { database: 2 }",
            "h.yaml:1: deadlines.database: expected a length of time such as 2s, 15m, 4h or 7d, found the number 2"
        ),
        ("deadlines: { delivery: 5m }", "h.yaml:1: deadlines.delivery: must be below 5m"),
        (
            "http: { public_url: homeward.example.org }",
            "h.yaml:1: http.public_url: expected an http or https URL, found \"homeward.example.org\""
        ),
        ("http: { tls: { certificate_file: /etc/passwd } }", "h.yaml:1: http.tls.key_file is missing"),
        ("heartbeat_url: ftp://h/", "h.yaml:1: heartbeat_url: expected an http or https URL, found \"ftp://h/\""),
        (
            "delivery: { webhook: { secret: x } }",
            "h.yaml:1: delivery.webhook.secret: a secret never stands here: "
                + "put it into a file and name that in secret_file"
        ),
        (
            "delivery: { sms: { url: \"https://g/\", body: \"{text}\" } }",
            "h.yaml:1: delivery.sms.body: has no {to} in it"
        ),
        (
            "delivery: { smtp: { host: 127.0.0.1, from: x, tls: ssl } }",
            "h.yaml:1: delivery.smtp.from: expected an e-mail address, found \"x\"|"
                + "h.yaml:1: delivery.smtp.tls: expected one of none, starttls, implicit, found \"ssl\""
        ),
        (
            "delivery: { sms: { url: \"https://g/\", body: '{\"to\":{to},\"text\":\"{text}\"}' } }",
            "h.yaml:1: delivery.sms.body: is no JSON once {to} and {text} are filled in: they stand between quotes"
        ),
        (
            "delivery: { sms: { url: \"http://g.example.org/\", body: \"to={to}&text={text}\" } }",
            "h.yaml:1: delivery.sms.url: is plain text to another machine: numbers and alerts would cross the network "
                + "readably; https, unless broker.insecure is true"
        ),
        (
            "delivery:\n  smtp:\n    from: h@example.org\n    host: mail.example.org",
            "h.yaml:4: delivery.smtp.host: mail.example.org is not this machine: say tls: starttls or implicit; "
                + "plain text is refused unless broker.insecure is true"
        ),
        (
            "delivery: { smtp: { host: 127.0.0.1, from: h@example.org, username: h } }",
            "h.yaml:1: delivery.smtp.username: wants password_file beside it"
        ),
        (
            "delivery: { smtp: { host: 127.0.0.1, from: h@example.org, ca_file: /etc/passwd } }",
            "h.yaml:1: delivery.smtp.ca_file: is of no use without tls"
        ),
        (
            "delivery: { templates: templates }",
            "h.yaml:1: delivery.templates: there is no directory /nowhere/templates"
        ),
        ("delivery: { mqtt: { sites: [a, a] } }", "h.yaml:1: delivery.mqtt.sites: names a site twice"),
        (
            "log: { level: loud }",
            "h.yaml:1: log.level: expected one of trace, debug, info, notice, warning, error, "
                + "critical, found \"loud\""
        ),
        ("lgo: { level: info }", "h.yaml:1: unknown key \"lgo\"; the nearest known key is \"log\""),
    ])
    func refused(lines: String, problem: String) {
        let section = lines.prefix { $0 != ":" }
        let others = Self.minimal.split(separator: "\n").filter { !$0.hasPrefix("\(section):") }
        let yaml = lines + "\n" + others.joined(separator: "\n")
        #expect(problems(yaml) == problem.split(separator: "|").map(String.init))
    }

    @Test func severalProblemsComeTogetherInLineOrder() {
        let yaml = """
            log: { level: loud }
            sites: []
            database:
              url: postgresql://h:p@127.0.0.1/h
            broker:
              prot: 1
            """
        #expect(
            problems(yaml).map { String($0.prefix(8)) } == ["h.yaml:1", "h.yaml:2", "h.yaml:4", "h.yaml:6", "h.yaml:6"])
        #expect(!problems(yaml).joined().contains(":p@"))
    }

    // MARK: - The environment

    @Test func theEnvironmentStandsOverTheFile() throws {
        let configuration = try load(
            Self.minimal,
            [
                "HOMEWARD_BROKER_HOST": "localhost", "HOMEWARD_BROKER_PORT": "2883",
                "HOMEWARD_DATABASE_URL": "host=/run/postgresql", "HOMEWARD_SITES": "north, south",
                "HOMEWARD_BROKER_CLIENT_ID": "homeward-2", "HOMEWARD_LOG_FORMAT": "json",
                "HOMEWARD_HTTP_PUBLIC_URL": "https://h.example.org/", "HOMEWARD_DEADLINES_DURABLE": "5s",
                "HOMEWARD_DELIVERY_SMTP_HOST": "127.0.0.1", "HOMEWARD_DELIVERY_SMTP_FROM": "h@example.org",
                "HOMEWARD_BROKER_PASSWORD": "geheim", "HOMEWARD_BROKER_USERNAME": "5", "HOMEWARD_LOG_LEVEL": "",
                "HOMEWARD_SPOOL_DIRECTORY": "spool", "HOMEWARD_FAILPOINT": "crash:x", "OTHER": "x",
            ])
        #expect(configuration.broker.host == "localhost" && configuration.broker.port == 2883)
        #expect(configuration.broker.clientID == "homeward-2")
        #expect(configuration.broker.username == "5" && configuration.broker.password == "geheim")
        #expect(configuration.database.url == "host=/run/postgresql")
        #expect(configuration.sites.codes.map(\.description) == ["north", "south"] && !configuration.sites.isAll)
        #expect(configuration.log == .init(level: .info, format: .json))
        #expect(configuration.http.publicURL == "https://h.example.org")
        #expect(configuration.deadlines.durable == .seconds(5))
        #expect(configuration.delivery.smtp?.host == "127.0.0.1")
        #expect(configuration.spool.directory == "/nowhere/spool")
        #expect(configuration.notices == [])
    }

    @Test func theEnvironmentAloneIsEnough() throws {
        let configuration = try load(
            "",
            ["HOMEWARD_BROKER_HOST": "::1", "HOMEWARD_DATABASE_URL": "dbname=h", "HOMEWARD_SITES": "*", "HOME": "/h"])
        #expect(configuration.sites.isAll)
    }

    @Test(arguments: [
        (
            ["HOMEWARD_BROKER_PORT": "many"],
            "HOMEWARD_BROKER_PORT: broker.port: expected a port from 1 to 65535, found \"many\""
        ),
        (
            ["HOMEWARD_BROKER_HOTS": "h"],
            "HOMEWARD_BROKER_HOTS: no setting has this name; the nearest is "
                + "HOMEWARD_BROKER_HOST"
        ),
        (
            ["HOMEWARD_SITES": "no rth"],
            "HOMEWARD_SITES: sites: expected a code of 1 to 64 of [A-Za-z0-9_-], found \"no rth\""
        ),
    ])
    func aBadVariableIsNamed(environment: [String: String], problem: String) {
        #expect(problems(Self.minimal, environment.merging(Self.home) { $1 }) == [problem])
    }

    @Test func aStrangeVariableIsANotice() throws {
        let configuration = try load(Self.minimal, ["HOMEWARD_BROKR_HOST": "h", "HOME": "/h"])
        #expect(
            configuration.notices.map(\.description) == [
                "HOMEWARD_BROKR_HOST: notice: no setting has this name; the nearest is HOMEWARD_BROKER_HOST"
            ])
    }

    /// A notice is logged at each start, and `check` prints it.
    @Test func plainTextToElsewhereIsANotice() throws {
        let yaml = """
            broker: { host: broker.example.org, insecure: true }
            database: { url: postgresql://h@db.example.org/h }
            sites: ["*"]
            """
        #expect(
            try load(yaml).notices.map(\.description) == [
                "/nowhere/h.yaml:1: notice: broker.host: readings and passwords go in plain text to "
                    + "broker.example.org: broker.insecure is true",
                "/nowhere/h.yaml:2: notice: database.url: may go in plain text to another machine: "
                    + "broker.insecure is true",
            ])
        let unverified = Self.minimal.replacing("@127.0.0.1/h", with: "@db.example.org/h?sslmode=require")
        #expect(
            try load(unverified).notices.map(\.description) == [
                "/nowhere/h.yaml:2: notice: database.url: does not look who answers: sslmode=verify-full does"
            ])
        let verified = Self.minimal.replacing("@127.0.0.1/h", with: "@db.example.org/h?sslmode=verify-full")
        #expect(try load(verified).notices.isEmpty)
    }

    /// Every key of the contract can be overridden, and every override is a key.
    @Test func everyOverrideIsAKnownKey() throws {
        let values: [ConfigurationEnvironment.Sort: String] = [.text: "x", .word: "1", .list: "x"]
        for setting in ConfigurationEnvironment.settings {
            let name = ConfigurationEnvironment.variable(of: setting.path)
            let found = problems(Self.minimal, [name: values[setting.sort] ?? "", "HOME": "/h"])
            #expect(!found.contains { $0.contains("unknown key") || $0.contains("no setting") }, "\(name): \(found)")
        }
    }

    @Test(arguments: [
        (["STATE_DIRECTORY": "/var/lib/homeward:/x", "XDG_STATE_HOME": "/s", "HOME": "/h"], "/var/lib/homeward"),
        (["XDG_STATE_HOME": "/s", "HOME": "/h"], "/s/homeward"),
        (["XDG_STATE_HOME": "relative", "HOME": "/h"], "/h/.local/state/homeward"),
    ])
    func whereTheSpoolIs(environment: [String: String], directory: String) throws {
        #expect(try load(Self.minimal, environment).spool.directory == directory)
        let named = try load(Self.minimal + "spool: { directory: my spool }\n", environment)
        #expect(named.spool.directory == "/nowhere/my spool")
    }

    @Test func theSpoolCanBeSwitchedOff() throws {
        #expect(try load(Self.minimal + "spool: { directory: /s, quota: 0 }\n").spool.quota == 0)
        #expect(try load(Self.minimal + "spool: { directory: /s }\n", ["HOMEWARD_SPOOL_QUOTA": "0"]).spool.quota == 0)
    }

    @Test func noPlaceForTheSpool() {
        #expect(
            problems(Self.minimal, [:]) == [
                "h.yaml:1: spool: spool.directory is missing, and neither STATE_DIRECTORY nor HOME is set"
            ])
    }
}
