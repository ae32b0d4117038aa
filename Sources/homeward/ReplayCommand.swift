import ArgumentParser
import HomewardDaemon

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Runs recorded messages, or what is stored, through decoding, validation and rules alone.",
        discussion: """
            Of a file: no broker, no database, no clock. Prints one JSON object a line, in input order.

            With --from-database: what other packs or other limits would have made of a patient's stored reports, or of \
            those of all patients of a site, beside the alerts that were raised: the burden before a limit is changed. \
            Reads only. Reports before --since are judged for what looks back, and their alerts are not counted.
            """)

    @Option(
        help: ArgumentHelp(
            "Who holds which device; without it every device is its own adult. With --from-database: judge as if this "
                + "file were enrolled; without it by the registry in force.", valueName: "FILE"))
    var registry: String?

    @Option(
        help: ArgumentHelp(
            "Protocol packs; without it the built-in ones, with --from-database the configuration's.",
            valueName: "DIR"))
    var protocols: String?

    @Flag(help: "Replay what is stored rather than a file.")
    var fromDatabase = false

    @Option(help: ArgumentHelp("With --from-database: the configuration file.", valueName: "FILE"))
    var config: String?

    @Option(help: ArgumentHelp("With --from-database: this patient's reports.", valueName: "CODE"))
    var patient: String?

    @Option(help: ArgumentHelp("With --from-database: the reports of this site's patients.", valueName: "CODE"))
    var site: String?

    @Option(
        help: ArgumentHelp(
            "With --from-database: from this day on (YYYY-MM-DD, where the patients are), or from this time.",
            valueName: "DATE"))
    var since: String?

    @Flag(help: "With --from-database: one JSON object a line; a file's replay always is.")
    var json = false

    @Argument(help: ArgumentHelp("One message a line; - for standard input.", valueName: "INPUT.ndjson"))
    var input: String?

    func validate() throws {
        guard fromDatabase else {
            guard input != nil else { throw ValidationError("Missing expected argument '<INPUT.ndjson>'") }
            let others = [("config", config), ("patient", patient), ("site", site), ("since", since)]
            if let (name, _) = others.first(where: { $0.1 != nil }) {
                throw ValidationError("--\(name) needs --from-database")
            }
            return
        }
        guard input == nil else { throw ValidationError("--from-database reads no file") }
        guard config != nil else { throw ValidationError("--from-database needs --config") }
        guard since != nil else { throw ValidationError("--from-database needs --since") }
        guard patient != nil || site != nil else {
            throw ValidationError("--from-database needs --patient or --site")
        }
    }

    func run() throws {
        if let input {
            try Replay(registryPath: registry, protocolsPath: protocols, inputPath: input).run().check()
        } else if let config, let since {
            try WhatIf(
                configurationPath: config, registryPath: registry, protocolsPath: protocols, patient: patient,
                site: site, since: since, json: json
            ).run().check()
        }
    }
}
