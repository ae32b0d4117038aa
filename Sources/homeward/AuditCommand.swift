import ArgumentParser
import HomewardDaemon

struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "The audit chain: history that can't be rewritten unnoticed.",
        subcommands: [VerifyCommand.self])
}

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Holds the audit chain against the tables that it seals.",
        discussion: """
            Finds a sealed row that was changed, taken away or put in later, and a batch that was changed or taken out. \
            Whoever can write the whole database can make the chain anew or cut off its end: only a head that left the \
            machine (with the heartbeat or the daily message) tells then, so give one or more.

            Exit codes: 0 the chain is whole; 65 it is not: a line TABLE:BATCH: WHAT for each fault.
            """)

    @OptionGroup var config: ConfigurationOption

    @Option(
        help: ArgumentHelp(
            "A head that was noted: the number and at least 16 digits of the hash. May be given more than once.",
            valueName: "NUMBER:HASH"))
    var head: [String] = []

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        try AuditVerification(configurationPath: config.path).run(heads: head, json: json).check()
    }
}
