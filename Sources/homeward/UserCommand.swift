import ArgumentParser
import HomewardDaemon

struct UserCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Who may sign in to the care managers' page.",
        discussion: """
            An account belongs to a care manager of the registry, whose site and role say what it may see and do. The \
            password is asked for, or read from standard input; the address for an authenticator app is printed once.
            """,
        subcommands: [Add.self, Reset.self, Disable.self, List.self])

    @OptionGroup var config: ConfigurationOption

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes an account for a care manager.")

        @ParentCommand var parent: UserCommand
        @Argument(help: ArgumentHelp("The care manager.", valueName: "CODE"))
        var code: String

        func run() throws { try Users(configurationPath: parent.config.path).set(code, isNew: true).check() }
    }

    struct Reset: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "A new password and one-time codes; signs out everywhere, and opens a disabled account again.")

        @ParentCommand var parent: UserCommand
        @Argument(help: ArgumentHelp("The care manager.", valueName: "CODE"))
        var code: String

        func run() throws { try Users(configurationPath: parent.config.path).set(code, isNew: false).check() }
    }

    struct Disable: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Ends an account, and its sessions at once.")

        @ParentCommand var parent: UserCommand
        @Argument(help: ArgumentHelp("The care manager.", valueName: "CODE"))
        var code: String

        func run() throws { try Users(configurationPath: parent.config.path).disable(code).check() }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "All accounts, and what state they are in.")

        @ParentCommand var parent: UserCommand

        func run() throws { try Users(configurationPath: parent.config.path).list().check() }
    }
}
