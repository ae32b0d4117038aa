import Clinical
import Glibc
import Ingestion
import TestSupport
import Testing

@testable import PostgresStore

extension PostgresStoreSuite {
    /// Several servers in one URL.
    @Suite struct ServerListTests {
        @Test(arguments: [
            ("postgresql://u@a,b:5433/x", ["a||", "b||5433"]),
            ("host=a,b port=5433 dbname=x", ["a||5433", "b||5433"]),
            ("host=a,b,c hostaddr=10.0.0.1,,::1 port=1,2,3", ["a|10.0.0.1|1", "b||2", "c|::1|3"]),
            ("hostaddr=10.0.0.1,10.0.0.2", ["|10.0.0.1|", "|10.0.0.2|"]),
            ("postgresql://%2Frun%2Fpostgresql/x", ["/run/postgresql||"]),
            ("service=elsewhere", []),
        ])
        func theURLsServersInItsOrder(url: String, expected: [String]) throws {
            let list = try ServerList(url)
            #expect(list.servers.map { "\($0.host)|\($0.address)|\($0.port)" } == expected)
        }

        @Test(arguments: ["host=a,b hostaddr=10.0.0.1", "host=a,b port=1,2,3", "host=a password=secret", "nonsense x"])
        func whatDoesNotFitIsMisconfigured(url: String) {
            let failure = #expect(throws: StoreFailure.self) { _ = try ServerList(url) }
            #expect(failure?.kind == .misconfigured)
            #expect(failure?.message.contains("secret") == false)
        }

        @Test func theListsTurnTogether() throws {
            let list = try ServerList("host=a,b,c port=1,2,3 hostaddr=,10.0.0.2,")
            let turned = list.beginning(at: 1).settings
            #expect(turned.map(\.value) == ["b,c,a", "10.0.0.2,,", "2,3,1"])
            #expect(turned.map(\.keyword) == ["host", "hostaddr", "port"])
        }

        /// The first server takes the connection and never answers.
        @Test func aSilentServerIsPassedOver() throws {
            let silent = try SilentServer()
            let database = try TestDatabase()
            let url =
                "host=127.0.0.1,127.0.0.1 port=\(silent.port),\(database.cluster.port) user=postgres "
                + "dbname=\(database.name)"
            let store = database.store(DatabaseConfiguration(url: url, deadline: .seconds(10)))
            try store.store([report(key())])
            // Closed, and connected again: it does not begin with the silent one.
            store.close()
            let before = silent.connections
            try store.store([report(key(2))])
            #expect(before == 1)
            #expect(silent.connections == before)
            #expect(try database.value("SELECT count(*) FROM homeward.v_report") == "2")
        }

        /// One call's time is too short for both: the next call begins with the other.
        @Test func theNextCallBeginsWithTheNextServer() throws {
            let silent = try SilentServer()
            let database = try TestDatabase()
            var connection = PostgresConnection(
                DatabaseConfiguration(
                    url: "host=127.0.0.1,127.0.0.1 port=\(silent.port),\(database.cluster.port) user=postgres "
                        + "dbname=\(database.name)"))
            connection.startCall(within: Interval(microseconds: 100_000))
            var failure: StoreFailure?
            do throws(StoreFailure) { try connection.connect() } catch { failure = error }
            #expect(failure?.kind == .transient)
            connection.close()
            connection.startCall(within: .seconds(10))
            try connection.connect()
            let isConnected = connection.isConnected
            #expect(isConnected)
            #expect(silent.connections == 1)
        }

        @Test func aReadOnlyServerIsPassedOverWithinAnAttempt() throws {
            let standby = try PrivatePostgres()
            let database = try TestDatabase()
            let url =
                "host=127.0.0.1,127.0.0.1 port=\(standby.port),\(database.cluster.port) user=postgres "
                + "dbname=\(database.name)"
            // A server that knows the database's name, but takes no writes.
            try standby.query("CREATE DATABASE \(database.name)")
            try standby.query("ALTER DATABASE \(database.name) SET default_transaction_read_only = on")
            let store = database.store(DatabaseConfiguration(url: url, deadline: .seconds(30)))
            try store.store([report(key())])
            #expect(try database.value("SELECT count(*) FROM homeward.v_report") == "1")
        }
    }
}

/// Listens and takes connections, which the kernel does alone, and never says a word.
private final class SilentServer {
    private let descriptor: Int32
    let port: Int

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let isListening = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
                    && listen(descriptor, 16) == 0
            }
        }
        try #require(isListening)
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }

    private var taken = 0

    /// How many have come so far.
    var connections: Int {
        while true {
            let connection = accept(descriptor, nil, nil)
            guard connection >= 0 else { return taken }
            taken += 1
            close(connection)
        }
    }
}
