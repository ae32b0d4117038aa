import Alerting
import Clinical
import Delivery
import Ingestion
import Logging
import Registry
import ServiceLifecycle

/// Looks once an hour at the certificates that this instance knows by their files, and raises technical alerts
/// `certificate-expiring` ahead of their end.
struct CertificateWatch: Service {
    let files: CertificateFiles
    let expiry: CertificateExpiry
    let commit: CommitControl
    let board: RegistryBoard
    let logger: Logger

    private static let interval = Duration.seconds(3600)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var warnings = CertificateWarnings()
            while !Task.isCancelled {
                let look = files.look()
                expiry.note(look.entries)
                for path in look.unread { logger.warning("certificate can't be read", metadata: ["file": "\(path)"]) }
                let now = wallClock()
                let patients = (board.registry?.devices ?? [:]).compactMapValues { $0.patient(at: now) }
                for findings in warnings.findings(look.entries, patients: patients, at: now) {
                    commit.raise(findings)
                    // The commit thread takes them within a second.
                    do { try await Task.sleep(for: .seconds(2)) } catch { return }
                }
                do { try await Task.sleep(for: Self.interval) } catch { return }
            }
        }
    }
}

/// What is to be said of certificates: amber 30 days ahead, red 7 days ahead, over once there is a newer one. Pure.
///
/// Those of the instance (own, broker, authority, revocations, page) are one alert; each device's is an alert of its own,
/// so that it stands beside its patient and goes to its site's technical route.
struct CertificateWarnings {
    static let rule = "certificate-expiring"
    static let amber = Interval.days(30)
    static let red = Interval.days(7)
    /// What is handed to the commit thread at once.
    static let portion = 50

    private var isFirst = true
    private var told: Set<Identifier> = []

    /// In portions. The first look also says which are good, since an earlier life may have warned of them.
    ///
    /// - Parameter patients: who has which device now.
    mutating func findings(
        _ entries: [CertificateExpiry.Entry], patients: [Identifier: Identifier] = [:], at now: Instant
    ) -> [[Finding]] {
        var findings = [ofInstance(entries, at: now)]
        for entry in entries {
            guard case .device(let name) = entry.which, let device = Identifier(name) else { continue }
            let severity = Self.severity(entry.expires - now)
            guard severity != nil || isFirst || told.contains(device) else { continue }
            if severity == nil { told.remove(device) } else { told.insert(device) }
            let patient = patients[device]
            let owner = patient.map { "device \(device) of patient \($0)" } ?? "device \(device)"
            let words =
                severity == nil
                ? "The certificate of \(owner) is good for over 30 days again."
                : "The certificate of \(owner) \(Self.words(entry, now)): after that "
                    + "\(patient.map { "\($0)" } ?? "its patient") can't be seen."
            findings.append(
                Self.finding(.device(device), entry.site, severity, words, at: now))
        }
        isFirst = false
        return stride(from: 0, to: findings.count, by: Self.portion).map {
            Array(findings[$0..<min($0 + Self.portion, findings.count)])
        }
    }

    private func ofInstance(_ entries: [CertificateExpiry.Entry], at now: Instant) -> Finding {
        let ending = entries.filter { entry in
            if case .device = entry.which { return false }
            return Self.severity(entry.expires - now) != nil
        }.sorted { ($0.expires, $0.which) < ($1.expires, $1.which) }
        let severity = ending.compactMap { Self.severity($0.expires - now) }.max()
        let list = ending.map { "\($0.which) \(Self.words($0, now))" }.joined(separator: "; ")
        let words =
            severity == nil
            ? "All certificates of this instance are good for over 30 days."
            : "Certificates of this instance: \(list). Without them nothing is received."
        return Self.finding(.instance, nil, severity, words, at: now)
    }

    private static func severity(_ left: Interval) -> Severity? {
        if left < red { return .red }
        return left < amber ? .amber : nil
    }

    private static func words(_ entry: CertificateExpiry.Entry, _ now: Instant) -> String {
        let days = (entry.expires - now).microseconds / 86_400_000_000
        return entry.expires <= now ? "has expired" : "expires in \(days) \(days == 1 ? "day" : "days")"
    }

    private static func finding(
        _ subject: Subject, _ site: Identifier?, _ severity: Severity?, _ summary: String, at now: Instant
    ) -> Finding {
        var device: Identifier?
        if case .device(let code) = subject { device = code }
        var finding = Finding(
            subject: subject, site: site, device: device, rule: rule, alertClass: .technical,
            verdict: severity.map { .beyond($0) } ?? .inRange, takenAt: now, receivedAt: now, report: nil,
            summary: summary)
        finding.isStanding = true
        return finding
    }
}
