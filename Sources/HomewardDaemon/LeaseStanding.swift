import Ingestion
import Instruments
import PostgresStore
import WebApp

/// How the lease stands, for whoever asks this instance. Any thread.
extension LeaseKeeper: MetricsSource {
    /// The machine that holds the lease, as last seen.
    var holder: String? { current.answer?.holder }

    func families() -> [MetricFamily] {
        let answer = current.answer
        return [
            .gauge(
                "homeward_lease_held", help: "1 while this instance is the one that reads and judges, else 0.",
                seat.isHolder ? 1 : 0),
            .gauge(
                "homeward_lease_epoch", help: "The lease's epoch as last seen: it grows with each take-over and start.",
                Double(answer?.epoch ?? 0)),
            .gauge(
                "homeward_lease_standby", help: "1 while another instance waits to take over, as last seen, else 0.",
                answer?.standbys == nil ? 0 : 1),
        ]
    }

    /// For `/readyz`, which is 503 on a standby: it does not read from the broker.
    var readiness: Readiness.Lease {
        let answer = current.answer
        let state: Readiness.Lease.State =
            switch seat.standing {
            case .undecided: .undecided
            case .holder: .held
            case .standby: .standby
            }
        return Readiness.Lease(
            state: state, holder: answer?.holder, epoch: answer?.epoch, standbys: answer?.standbys,
            isHeldByRestore: answer?.isHeld ?? false)
    }
}
