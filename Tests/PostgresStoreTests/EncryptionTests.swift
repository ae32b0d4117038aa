import Clinical
import Foundation
import Ingestion
import PostgresStore
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// `sslmode=verify-full` through our own resolving of names: libpq is given addresses, and must hold the certificate
    /// against the name all the same.
    @Suite struct EncryptionTests {
        /// Two authorities, and the first one's certificate for `localhost`, which the server reads.
        private final class Certificates {
            let directory = FileManager.default.temporaryDirectory.appending(path: "homeward-pki-\(UUID().uuidString)")

            init() throws {
                try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
                let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
                for name in ["ca", "other"] {
                    try openssl(
                        ["req", "-x509", "-days", "2", "-subj", "/CN=\(name)"] + key
                            + ["-keyout", path("\(name).key"), "-out", path("\(name).pem")])
                }
                try Data("subjectAltName=DNS:localhost".utf8).write(to: directory.appending(path: "server.ext"))
                try openssl(
                    ["req", "-subj", "/CN=server"] + key + ["-keyout", path("server.key"), "-out", path("server.csr")])
                try openssl([
                    "x509", "-req", "-in", path("server.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
                    "-CAcreateserial", "-days", "2", "-extfile", path("server.ext"), "-out", path("server.pem"),
                ])
                try run("/bin/chmod", ["600", path("server.key")])
                if geteuid() == 0 { try run("/bin/chown", ["-R", "postgres:", directory.path]) }
            }

            deinit { try? FileManager.default.removeItem(at: directory) }

            func path(_ name: String) -> String { directory.appending(path: name).path }

            private func openssl(_ arguments: [String]) throws { try run("/usr/bin/openssl", arguments) }

            private func run(_ program: String, _ arguments: [String]) throws {
                let process = Process()
                process.executableURL = URL(filePath: program)
                process.arguments = arguments
                process.standardError = FileHandle.nullDevice
                try process.run()
                process.waitUntilExit()
                try #require(process.terminationStatus == 0, "\(program) \(arguments)")
            }
        }

        @Test func theServersCertificateIsHeldAgainstItsNameAndItsAuthority() throws {
            let certificates = try Certificates()
            let cluster = try PrivatePostgres(settings: [
                "ssl": "on", "ssl_cert_file": certificates.path("server.pem"),
                "ssl_key_file": certificates.path("server.key"),
            ])
            let database = try cluster.createDatabase()
            func probe(host: String, authority: String) throws -> Instant {
                let url =
                    "postgresql://postgres@\(host):\(cluster.port)/\(database)?sslmode=verify-full&sslrootcert="
                    + certificates.path(authority)
                let configuration = DatabaseConfiguration(url: url, deadline: .seconds(30))
                _ = try Migrator.migrate(configuration)
                return try DatabaseUpkeep(configuration).probe()
            }
            _ = try probe(host: "localhost", authority: "ca.pem")
            let encrypted =
                "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND datname IS NOT NULL"
            let upkeep = DatabaseUpkeep(
                DatabaseConfiguration(
                    url: "postgresql://postgres@localhost:\(cluster.port)/\(database)?sslmode=verify-full&sslrootcert="
                        + certificates.path("ca.pem"), deadline: .seconds(30)))
            _ = try upkeep.probe()
            #expect(try cluster.query(encrypted + " AND application_name = 'homeward-upkeep'") != [["0"]])
            for (host, authority) in [("127.0.0.1", "ca.pem"), ("localhost", "other.pem")] {
                let failure = #expect(throws: StoreFailure.self, "\(host), \(authority)") {
                    _ = try probe(host: host, authority: authority)
                }
                #expect(failure?.message.contains("certificate") == true, "\(failure?.message ?? "")")
            }
            _ = try upkeep.probe()
        }
    }
}
