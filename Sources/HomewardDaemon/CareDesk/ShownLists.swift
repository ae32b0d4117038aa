import Alerting
import CLinux
import Clinical
import Registry
import Synchronization

/// The worklist as each viewer was shown it last, so that it is not made anew for each of their windows. Any thread.
///
/// Whom a viewer may see is asked of the database again when the registry has changed, and after five seconds in any case:
/// a right that was taken away by other means lasts so long in the list, and not at all on a patient's page.
final class ShownLists: Sendable {
    private struct Shown {
        var list: Worklist
        var ward: Int64
        var patients: Set<Identifier>
        var registry: Int64
        /// Of the monotonic clock, nanoseconds.
        var askedAt: Int64
    }

    private static let patience: Int64 = 5_000_000_000
    /// Of more viewers than that, those who were asked about longest ago are forgotten.
    private static let most = 256
    private let shown = Mutex<[Identifier: Shown]>([:])

    private func shown(to viewer: Viewer, _ ward: WorklistKeeper.Ward) -> Shown? {
        let now = linux_monotonic_nanoseconds()
        guard let shown = shown.withLock({ $0[viewer.careManager] }), shown.list.viewer == viewer,
            shown.registry == ward.registry.version, now - shown.askedAt < Self.patience
        else { return nil }
        return shown
    }

    /// Nil: it must be made anew.
    func list(of viewer: Viewer, _ ward: WorklistKeeper.Ward) -> Worklist? {
        guard let shown = shown(to: viewer, ward), shown.ward == ward.number else { return nil }
        return shown.list
    }

    /// Nil: they must be asked for.
    func patients(of viewer: Viewer, _ ward: WorklistKeeper.Ward) -> Set<Identifier>? {
        shown(to: viewer, ward)?.patients
    }

    /// - Parameter patients: as they were just asked for; nil: those that were known.
    func keep(_ list: Worklist, among patients: Set<Identifier>?, _ ward: WorklistKeeper.Ward) {
        let now = linux_monotonic_nanoseconds()
        shown.withLock { shown in
            let code = list.viewer.careManager
            if let patients {
                shown[code] = Shown(
                    list: list, ward: ward.number, patients: patients, registry: ward.registry.version, askedAt: now)
            } else {
                shown[code]?.list = list
                shown[code]?.ward = ward.number
            }
            if shown.count > Self.most, let oldest = shown.min(by: { $0.value.askedAt < $1.value.askedAt })?.key {
                shown[oldest] = nil
            }
        }
    }
}
