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

    private struct State {
        var shown: [Identifier: Shown] = [:]
        /// Whose list is being made, and who waits for it.
        var making: [Identifier: [CheckedContinuation<Void, Never>]] = [:]
    }

    private static let patience: Int64 = 5_000_000_000
    /// Of more viewers than that, those who were asked about longest ago are forgotten.
    private static let most = 256
    private let state = Mutex(State())

    private func shown(to viewer: Viewer, _ ward: WorklistKeeper.Ward) -> Shown? {
        let now = linux_monotonic_nanoseconds()
        guard let shown = state.withLock({ $0.shown[viewer.careManager] }), shown.list.viewer == viewer,
            shown.registry == ward.registry.version, now - shown.askedAt < Self.patience
        else { return nil }
        return shown
    }

    /// Nil: it must be made anew. Never older than the ward.
    func list(of viewer: Viewer, _ ward: WorklistKeeper.Ward) -> Worklist? {
        guard let shown = shown(to: viewer, ward), shown.ward >= ward.number else { return nil }
        return shown.list
    }

    /// Of a viewer's windows, which all ask when something has changed, one makes the list and the others wait for it:
    /// call `end` whatever comes of it. False: one that made it has ended meanwhile, look again.
    func begin(_ viewer: Identifier) async -> Bool {
        var isMaker = false
        await withCheckedContinuation { continuation in
            isMaker = state.withLock { state in
                if state.making[viewer] != nil {
                    state.making[viewer]?.append(continuation)
                    return false
                }
                state.making[viewer] = []
                return true
            }
            if isMaker { continuation.resume() }
        }
        return isMaker
    }

    func end(_ viewer: Identifier) {
        let waiting = state.withLock { $0.making.removeValue(forKey: viewer) ?? [] }
        for continuation in waiting { continuation.resume() }
    }

    /// Nil: they must be asked for.
    func patients(of viewer: Viewer, _ ward: WorklistKeeper.Ward) -> Set<Identifier>? {
        shown(to: viewer, ward)?.patients
    }

    /// - Parameter patients: as they were just asked for; nil: those that were known.
    func keep(_ list: Worklist, among patients: Set<Identifier>?, _ ward: WorklistKeeper.Ward) {
        let now = linux_monotonic_nanoseconds()
        state.withLock { state in
            let code = list.viewer.careManager
            if let patients {
                state.shown[code] = Shown(
                    list: list, ward: ward.number, patients: patients, registry: ward.registry.version, askedAt: now)
            } else {
                state.shown[code]?.list = list
                state.shown[code]?.ward = ward.number
            }
            guard state.shown.count > Self.most else { return }
            let oldest = state.shown.min { $0.value.askedAt < $1.value.askedAt }
            if let oldest { state.shown[oldest.key] = nil }
        }
    }
}
