import ArgumentParser
import HomewardDaemon

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Runs recorded messages through decoding, validation and rules alone.",
        discussion: "No broker, no database, no clock. Prints one JSON object a line, in input order.")

    @Option(help: ArgumentHelp("Who holds which device; without it every device is its own adult.", valueName: "FILE"))
    var registry: String?

    @Option(help: ArgumentHelp("Protocol packs; without it the built-in ones.", valueName: "DIR"))
    var protocols: String?

    @Argument(help: ArgumentHelp("One message a line; - for standard input.", valueName: "INPUT.ndjson"))
    var input: String

    func run() throws {
        try Replay(registryPath: registry, protocolsPath: protocols, inputPath: input).run().check()
    }
}
