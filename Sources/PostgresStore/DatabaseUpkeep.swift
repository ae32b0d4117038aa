public import Ingestion

/// Small jobs beside the pipeline, on a connection of their own: the health probe and the daily upkeep. One thread.
public final class DatabaseUpkeep {
    private var connection: PostgresConnection

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("upkeep"))
    }

    /// Asks the server for an answer within the deadline. The schema is checked when it connects.
    public func probe() throws(StoreFailure) {
        try connect()
        _ = try connection.query("SELECT 1", doing: "probing")
    }

    /// Makes the partitions of the coming months; for once a day. Doing it again changes nothing.
    public func maintain() throws(StoreFailure) {
        try connect()
        _ = try connection.query("SELECT homeward.make_partitions()", doing: "making partitions")
    }

    private func connect() throws(StoreFailure) {
        connection.startCall()
        guard !connection.isConnected else { return }
        try connection.connect()
        do {
            try ServerCheck.run(&connection)
        } catch {
            connection.close()
            throw error
        }
    }
}
