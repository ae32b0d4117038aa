internal import CLinux
internal import CPQ
internal import Glibc
internal import Ingestion

/// Waits, on a connection of its own, for word that an alert or the registry has changed. One thread waits; any may call
/// it: hence `@unchecked Sendable`, since calling touches the descriptor alone.
public final class PageNotifications: @unchecked Sendable {
    /// What ended a wait.
    public enum Ended: Sendable {
        case word
        case time
        case call
    }

    private var connection: PostgresConnection
    private let callDescriptor = linux_eventfd_open()

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("page"))
    }

    deinit { if callDescriptor >= 0 { Glibc.close(callDescriptor) } }

    /// Waits for word, or that long; the first wait of a connection ends at once, since nobody knows what came before it.
    /// A word only wakes: what changed is what is read then.
    ///
    /// Without a database it is the time that ends the wait.
    public func wait(milliseconds: Int32) -> Ended {
        if !connection.isConnected {
            connection.startCall()
            do {
                try connection.connectChecked()
                _ = try connection.query("LISTEN homeward_page; LISTEN homeward_registry", doing: "listening")
                return .word
            } catch {
                connection.close()
            }
        }
        var waiting = [
            pollfd(fd: callDescriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: connection.socket, events: Int16(POLLIN), revents: 0),
        ]
        if connection.takeNotifications() { return .word }
        _ = unsafe poll(&waiting, 2, milliseconds)
        if waiting[1].revents != 0, connection.takeNotifications() { return .word }
        guard waiting[0].revents != 0 else { return .time }
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(callDescriptor, &count)
        return .call
    }

    /// Whether the last wait had a database; of the thread that waits.
    public var isListening: Bool { connection.isConnected }

    /// Word that has come already, so that it does not end the next wait.
    public func takeWaiting() -> Bool { connection.isConnected && connection.takeNotifications() }

    /// Ends a wait; any thread.
    public func call() { linux_eventfd_signal(callDescriptor) }
}
