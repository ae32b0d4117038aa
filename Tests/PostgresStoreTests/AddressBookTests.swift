import Clinical
import Dispatch
import Ingestion
import Synchronization
import TestSupport
import Testing

@testable import PostgresStore

extension PostgresStoreSuite {
    /// Host names are never looked up on the thread that connects.
    @Suite struct AddressBookTests {
        /// A resolver that answers when it is told to.
        private final class Resolver: Sendable {
            let asked = Mutex<[String]>([])
            let answer = Mutex<AddressBook.Answer>(.addresses(["127.0.0.1"]))
            let permits = DispatchSemaphore(value: 0)

            func book() -> AddressBook {
                AddressBook { name in
                    self.asked.withLock { $0.append(name) }
                    self.permits.wait()
                    return self.answer.withLock { $0 }
                }
            }
        }

        private func connect(
            _ database: TestDatabase, host: String, _ book: AddressBook
        ) -> (failure: StoreFailure?, isConnected: Bool) {
            let url = "host=\(host) port=\(database.cluster.port) user=postgres dbname=\(database.name)"
            var connection = PostgresConnection(DatabaseConfiguration(url: url), addressBook: book)
            connection.startCall(within: .seconds(20))
            do throws(StoreFailure) {
                try connection.connect()
                return (nil, connection.isConnected)
            } catch {
                return (error, connection.isConnected)
            }
        }

        @Test func aDeadResolverHoldsNobodyUp() throws {
            let database = try TestDatabase(migrated: false)
            let resolver = Resolver()
            let book = resolver.book()
            // It has not answered: these return, and share one lookup.
            for _ in 0..<2 {
                let outcome = connect(database, host: "db.example", book)
                #expect(outcome.failure?.kind == .transient)
                #expect(outcome.failure?.message == "connecting: db.example is being looked up")
            }
            #expect(resolver.asked.withLock { $0 } == ["db.example"])
            resolver.permits.signal()
            #expect(eventually { connect(database, host: "db.example", book).isConnected })
            // Known and fresh: nobody is asked again.
            #expect(resolver.asked.withLock { $0 } == ["db.example"])
        }

        @Test func aServerWithAnAddressIsUsedMeanwhile() throws {
            let database = try TestDatabase(migrated: false)
            let resolver = Resolver()
            let outcome = connect(database, host: "db.example,127.0.0.1", resolver.book())
            #expect(outcome.failure == nil && outcome.isConnected)
            #expect(resolver.asked.withLock { $0 } == ["db.example"])
            resolver.permits.signal()
        }

        @Test func aFailedLookupIsToldAndTriedAgain() throws {
            let resolver = Resolver()
            let book = resolver.book()
            let list = ServerList(servers: [.init(host: "db.example", address: "", port: "")])
            resolver.answer.withLock { $0 = .failed("no such name") }
            resolver.permits.signal()
            var messages: [String] = []
            // The lookup may still be under way at first.
            #expect(
                eventually {
                    let failure = #expect(throws: StoreFailure.self) { try book.addressed(list, until: .max) }
                    messages.append(failure?.message ?? "")
                    return messages.last == "connecting: db.example has no address: no such name"
                })
            resolver.answer.withLock { $0 = .addresses(["10.0.0.1", "::1"]) }
            resolver.permits.signal()
            var servers: [ServerList.Server] = []
            #expect(
                eventually {
                    servers = (try? book.addressed(list, until: .max).servers) ?? []
                    return !servers.isEmpty
                })
            #expect(servers.map(\.address) == ["10.0.0.1", "::1"])
            #expect(servers.allSatisfy { $0.host == "db.example" })
        }

        @Test func anOldAnswerIsUsedWhileItIsLookedUpAgain() throws {
            let resolver = Resolver()
            let now = Mutex<Int64>(0)
            let book = AddressBook(clock: { now.withLock { $0 } }) { name in
                resolver.asked.withLock { $0.append(name) }
                resolver.permits.wait()
                return resolver.answer.withLock { $0 }
            }
            let list = ServerList(servers: [.init(host: "db.example", address: "", port: "5432")])
            func addresses() -> [String] { (try? book.addressed(list, until: .max).servers.map(\.address)) ?? [] }
            resolver.permits.signal()
            #expect(eventually { addresses() == ["127.0.0.1"] })
            now.withLock { $0 += 31_000_000_000 }
            resolver.answer.withLock { $0 = .addresses(["127.0.0.2"]) }
            // The resolver hangs: the old answer stands.
            #expect(addresses() == ["127.0.0.1"])
            #expect(eventually { resolver.asked.withLock { $0.count } == 2 })
            resolver.permits.signal()
            #expect(eventually { addresses() == ["127.0.0.2"] })
            // A lookup that fails leaves the old answer.
            now.withLock { $0 += 31_000_000_000 }
            resolver.answer.withLock { $0 = .failed("away") }
            resolver.permits.signal()
            #expect(addresses() == ["127.0.0.2"])
            #expect(eventually { resolver.asked.withLock { $0.count } == 3 })
            #expect(addresses() == ["127.0.0.2"])
            for _ in 0..<9 { resolver.permits.signal() }
        }

        @Test(arguments: [
            ("", false), ("/run/postgresql", false), ("@abstract", false), ("127.0.0.1", false), ("::1", false),
            ("fe80::1%lo", false), ("localhost", true), ("db-1.example.org", true), ("127.1", true),
        ])
        func onlyNamesAreLookedUp(host: String, expected: Bool) {
            #expect(ServerList.Server(host: host, address: "", port: "").needsLookup == expected)
            #expect(!ServerList.Server(host: host, address: "10.0.0.1", port: "").needsLookup)
        }

        /// With the C library's resolver.
        @Test func localhostConnects() throws {
            let database = try TestDatabase(migrated: false)
            let outcome = connect(database, host: "localhost", .shared)
            #expect(outcome.failure == nil && outcome.isConnected)
        }
    }
}
