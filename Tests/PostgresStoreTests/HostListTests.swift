import Clinical
import Foundation
import Ingestion
import PostgresStore
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// Several hosts in the URL, of which some answer nothing: as a machine that is switched off, or hangs.
    @Suite struct HostListTests {
        @Test(arguments: [
            "postgresql://postgres@127.0.0.1:SILENT,127.0.0.1:PORT/NAME",
            "host=127.0.0.1,localhost port=SILENT,PORT user=postgres dbname=NAME",
            "hostaddr=127.0.0.1,127.0.0.1,127.0.0.1 port=1,SILENT,PORT user=postgres dbname=NAME",
            // One port for both.
            "host=127.0.0.2,127.0.0.1 port=PORT user=postgres dbname=NAME",
        ])
        func aSilentHostIsPassedOverWithinTheDeadline(url: String) throws {
            let database = try TestDatabase()
            let silent = try SilentHost(address: 0x7f00_0001, port: 0)
            let samePort = try SilentHost(address: 0x7f00_0002, port: UInt16(clamping: database.cluster.port))
            defer { withExtendedLifetime((silent, samePort)) {} }
            let configuration = DatabaseConfiguration(
                url: url.replacing("SILENT", with: "\(silent.port)")
                    .replacing("PORT", with: "\(database.cluster.port)").replacing("NAME", with: database.name),
                deadline: .seconds(8))
            let store = database.store(configuration)
            try store.store([report(key())])
            // The next connect begins with the one that answered.
            store.close()
            try store.store([report(key(2))])
            #expect(try database.value("SELECT count(*) FROM homeward.v_report") == "2")
        }

        @Test func onlySilentHostsEndAtTheDeadline() throws {
            let database = try TestDatabase()
            let silent = try SilentHost(address: 0x7f00_0001, port: 0)
            defer { withExtendedLifetime(silent) {} }
            let configuration = DatabaseConfiguration(
                url: "postgresql://postgres@127.0.0.1:\(silent.port),127.0.0.1:\(silent.port)/x", deadline: .seconds(1))
            let failure = #expect(throws: StoreFailure.self) { _ = try database.store(configuration).begin() }
            #expect(failure?.kind == .transient)
            #expect(failure?.message.contains("deadline passed") == true)
        }
    }
}

/// The kernel takes connections for it; nobody ever answers them.
private final class SilentHost {
    let port: UInt16
    private let descriptor: Int32

    /// - Parameter port: 0 for a free one.
    init(address host: UInt32, port wanted: UInt16) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        self.descriptor = descriptor
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = wanted.bigEndian
        address.sin_addr.s_addr = host.bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(descriptor, pointer, length) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard isBound else {
            close(descriptor)
            throw POSIXError(.EADDRNOTAVAIL)
        }
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(descriptor) }
}
