/// One thing that goes wrong, for as long as the schedule says.
enum Fault: Hashable, CustomStringConvertible {
    /// kill -9, and a new one at the end.
    case daemonKilled, brokerKilled, databaseKilled
    /// SIGSTOP, and SIGCONT at the end: sockets stay open and nothing answers.
    case daemonFrozen, brokerFrozen, databaseFrozen
    /// SIGTERM, and a new one at the end: sessions are saved.
    case brokerRestarted
    /// One of the daemon's backends alone: killed with -9, PostgreSQL ends the rest and recovers; frozen, new
    /// connections work.
    case backendKilled, backendsFrozen
    /// 25006, as after a failover to a standby; 53100, as with its disk full.
    case databaseReadOnly, databaseDiskFull
    case linkReset(Link), linkStalled(Link), linkHalfOpen(Link), linkSlow(Link, milliseconds: Int)
    case spoolDiskFull
    /// The daemon's wall clock jumps, and back at the end.
    case clockStepped(seconds: Int)
    /// The care manager's endpoint answers 503; or takes the notification and closes without an answer.
    case webhookRefuses, webhookAnswersLost

    enum Link: String, Hashable, CaseIterable { case broker, database }

    /// Faults of one lane never overlap.
    enum Lane: Hashable { case daemon, broker, database, link(Link), spool, clock, webhook }

    var lane: Lane {
        switch self {
        case .daemonKilled, .daemonFrozen: .daemon
        case .brokerKilled, .brokerFrozen, .brokerRestarted: .broker
        case .databaseKilled, .databaseFrozen, .backendKilled, .backendsFrozen, .databaseReadOnly, .databaseDiskFull:
            .database
        case .linkReset(let link), .linkStalled(let link), .linkHalfOpen(let link), .linkSlow(let link, _):
            .link(link)
        case .spoolDiskFull: .spool
        case .clockStepped: .clock
        case .webhookRefuses, .webhookAnswersLost: .webhook
        }
    }

    /// While it lasts nothing can be committed.
    var stopsCommits: Bool { [.databaseKilled, .databaseFrozen, .databaseReadOnly, .databaseDiskFull].contains(self) }

    var description: String {
        switch self {
        case .daemonKilled: "daemon killed"
        case .brokerKilled: "broker killed"
        case .databaseKilled: "database killed"
        case .daemonFrozen: "daemon frozen"
        case .brokerFrozen: "broker frozen"
        case .databaseFrozen: "database frozen"
        case .brokerRestarted: "broker restarted"
        case .backendKilled: "backend killed"
        case .backendsFrozen: "backends frozen"
        case .databaseReadOnly: "database read-only"
        case .databaseDiskFull: "database disk full"
        case .linkReset(let link): "\(link.rawValue) link reset"
        case .linkStalled(let link): "\(link.rawValue) link stalled"
        case .linkHalfOpen(let link): "\(link.rawValue) link half open"
        case .linkSlow(let link, let milliseconds): "\(link.rawValue) link slow by \(milliseconds) ms"
        case .spoolDiskFull: "spool disk full"
        case .clockStepped(let seconds): "clock stepped by \(seconds) s"
        case .webhookRefuses: "webhook refuses"
        case .webhookAnswersLost: "webhook answers lost"
        }
    }
}
