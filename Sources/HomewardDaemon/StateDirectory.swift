import Documents
import Foundation
import Ingestion
import Outage
import Spool

/// Where the daemon keeps what must outlive it beside the database: the spool with its lock, the journal of what was
/// told in an outage, the snapshots, and the count of deaths that a message has caused.
struct StateDirectory {
    let path: String
    let lease: LeaseFile
    let crashGuard: CrashGuard
    /// Nil where the spool is switched off: the broker then keeps what PostgreSQL doesn't take.
    let outage: Outage?

    struct Outage {
        let spool: DiskSpool
        let deliveries: OutageDeliveries
    }

    struct Unusable: Error, CustomStringConvertible {
        var path: String
        var reason: String
        var description: String { "\(path): \(reason)" }
    }

    init(_ configuration: Configuration.Spool) throws {
        path = configuration.directory
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Unusable(path: path, reason: "the directory can't be made")
        }
        if configuration.quota > 0 {
            let key = try configuration.keyFile.map { file throws(SpoolUnavailable) in try SpoolKey.read(path: file) }
            // First: it holds the lock that keeps a second daemon out of everything else.
            let spool = try DiskSpool(directory: path, quota: Int(clamping: configuration.quota), key: key)
            outage = Outage(spool: spool, deliveries: try OutageDeliveries(directory: path))
        } else {
            outage = nil
        }
        do {
            lease = try LeaseFile(directory: path)
        } catch {
            throw Unusable(path: path, reason: "the instance's name can't be written")
        }
        switch CrashGuard.open(path: path + "/crash-guard") {
        case .success(let opened): crashGuard = opened
        case .failure(let error):
            throw Unusable(path: path + "/crash-guard", reason: unsafe String(cString: strerror(error.number)))
        }
    }
}
