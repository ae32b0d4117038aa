import ArgumentParser
import HomewardDaemon

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Runs the daemon in the foreground; logs to standard error.",
        discussion: "SIGTERM drains what was read and exits 0. SIGHUP reloads packs and registry.")

    @OptionGroup var config: ConfigurationOption

    func run() async throws {
        try await Serve(configurationPath: config.path).run().check()
    }
}

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Reads the configuration and every protocol pack; connects to nothing.",
        discussion: "Prints each problem as file:line: message. Exit 0, or 78 when there is a problem.")

    @OptionGroup var config: ConfigurationOption

    func run() throws {
        try Check(configurationPath: config.path).run().check()
    }
}

struct MigrateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Brings the database schema up to date.")

    @OptionGroup var config: ConfigurationOption

    func run() throws {
        try Migrate(configurationPath: config.path).run().check()
    }
}
