import Foundation
import TestSupport

/// A stack whose every part can be made to fail: own servers, a proxy on each of the daemon's links, a tiny disk under
/// its spool and a clock that steps, where the machine allows that.
final class FaultStack {
    let stack: Stack
    let hook: WebhookCatcher
    private let brokerLink: FaultProxy
    let databaseLink: FaultProxy
    private let network: NetworkNamespace?
    private var disk: TinyDisk?
    private let clock: FaultyClock?
    /// Processes that ran under the clock, each of which leaves something behind.
    private var clocked: [pid_t] = []
    /// While these last nothing can be committed: no receipt of what was first sent within one may come within it.
    private(set) var outages: [ClosedRange<ContinuousClock.Instant>] = []

    /// One cluster for all seeds: making it takes seconds.
    static let postgres = Result { try PrivatePostgres() }

    /// Sessions and queues are saved once a second. With autosave_on_changes the interval is a number of changes, and
    /// mosquitto 2.0.11 would write its whole store after every one of them.
    private static let brokerOptions = [
        "autosave_on_changes false", "autosave_interval 1", "max_packet_size 67584", "set_tcp_nodelay true",
        "log_type none", "log_type error", "log_type warning", "log_type notice",
    ]

    /// - Parameters:
    ///   - cluster: instead of the one that all seeds share.
    ///   - network: the daemon's own, without proxies; the cluster listens there.
    init(
        registry: String = FaultWard.registry, cluster: PrivatePostgres? = nil, withTinyDisk: Bool = false,
        withClock: Bool = false, network: NetworkNamespace? = nil
    ) throws {
        let broker = try PrivateBroker(
            options: Self.brokerOptions,
            listener: network.map { ["listener {port} \($0.address(of: .broker))"] } ?? [])
        let postgres = try cluster ?? Self.postgres.get()
        hook = try network.map { try WebhookCatcher(host: $0.address(of: .broker)) } ?? WebhookCatcher()
        self.network = network
        brokerLink = try FaultProxy(to: broker.port)
        databaseLink = try FaultProxy(to: UInt16(clamping: postgres.port))
        stack = try Stack(
            registry: registry, webhook: hook.url,
            servers: Stack.Servers(
                broker: broker, postgres: postgres, brokerPort: network == nil ? brokerLink.port : broker.port,
                databasePort: network == nil ? databaseLink.port : UInt16(clamping: postgres.port), network: network))
        disk = withTinyDisk ? TinyDisk(at: stack.spool, megabytes: 4) : nil
        if withTinyDisk, disk == nil { print("faults: no right to mount, so the spool's disk is not filled") }
        clock = withClock ? try FaultyClock(in: FileManager.default.temporaryDirectory) : nil
        if withClock, clock == nil { print("faults: no libfaketime, so the clock is not stepped") }
        try makeSwitch()
    }

    deinit {
        stack.killDaemon()
        brokerLink.stop()
        databaseLink.stop()
        clock?.remove(after: clocked)
        // Before the stack removes the directory that it is mounted in.
        disk = nil
    }

    func startDaemon() throws {
        guard let clock else { return try stack.startDaemon() }
        try stack.startDaemon(clock.environment, launcher: FaultyClock.launcher)
        if let process = stack.daemonProcessID { clocked.append(process) }
    }

    func startReadyDaemon() throws {
        try startDaemon()
        guard stack.isReady() else { throw Stack.Failure(description: "not ready: \(stack.log.suffix(2000))") }
    }

    /// Ready, and it has put on disk what it must know of registry and open alerts in an outage.
    func startPreparedDaemon() throws {
        try startReadyDaemon()
        let snapshot = stack.spool.appending(path: "state.snapshot").path
        guard eventually({ FileManager.default.fileExists(atPath: snapshot) }) else {
            throw Stack.Failure(description: "no snapshot: \(stack.log.suffix(2000))")
        }
    }

    /// Does it, and returns what undoes it.
    func inflict(_ fault: Fault) throws -> () throws -> Void {
        switch fault {
        case .daemonKilled:
            stack.killDaemon()
            return { try self.startDaemon() }
        case .daemonFrozen:
            stack.signalDaemon(SIGSTOP)
            return { self.stack.signalDaemon(SIGCONT) }
        case .brokerKilled, .brokerRestarted:
            if fault == .brokerKilled { stack.broker.kill() } else { stack.broker.stop() }
            return { try self.stack.broker.start() }
        case .brokerFrozen:
            stack.broker.freeze()
            return { self.stack.broker.thaw() }
        case .databaseKilled, .databaseFrozen, .backendKilled, .backendsFrozen, .databaseReadOnly, .databaseDiskFull:
            return try inflictOnDatabase(fault)
        case .linkReset, .linkStalled, .linkHalfOpen, .linkSlow:
            return try inflictOnLink(fault)
        case .spoolDiskFull:
            disk?.fill()
            return { self.disk?.empty() }
        case .clockStepped(let seconds):
            try clock?.step(by: seconds)
            return { try self.clock?.step(by: 0) }
        case .webhookRefuses, .webhookAnswersLost:
            hook.behave(fault == .webhookRefuses ? .refuses : .losesAnswer)
            return { self.hook.behave(.takes) }
        }
    }

    /// The cluster is shared with the next seed: a frozen or dead one must not be left behind.
    func heal() throws {
        let postgres = stack.postgres
        postgres.thaw()
        if postgres.processID == nil { try postgres.start() }
        try setReadOnly(false)
    }

    private func inflictOnLink(_ fault: Fault) throws -> () throws -> Void {
        switch fault {
        case .linkStalled(let link) where network != nil:
            try network?.pull(link)
            return { try self.network?.plugIn(link) }
        case .linkReset(let link):
            proxy(link).reset()
            return {}
        case .linkStalled(let link):
            proxy(link).set(.stalled)
            return { self.proxy(link).set(.forwarding) }
        case .linkHalfOpen(let link):
            proxy(link).halfOpen()
            return { self.proxy(link).mend() }
        case .linkSlow(let link, let milliseconds):
            proxy(link).set(.slow(milliseconds: milliseconds))
            return { self.proxy(link).set(.forwarding) }
        default:
            return {}
        }
    }

    private func proxy(_ link: Fault.Link) -> FaultProxy { link == .broker ? brokerLink : databaseLink }

    // MARK: - PostgreSQL

    private func inflictOnDatabase(_ fault: Fault) throws -> () throws -> Void {
        let postgres = stack.postgres
        var undo: () throws -> Void
        switch fault {
        case .databaseKilled:
            postgres.kill9()
            undo = { try postgres.start() }
        case .databaseFrozen:
            postgres.freeze()
            undo = { postgres.thaw() }
        case .backendKilled:
            if let backend = try backends().first { kill(backend, SIGKILL) }
            // It ends all other processes and recovers.
            return { _ = eventually { (try? postgres.query("SELECT 1")) != nil } }
        case .backendsFrozen:
            let frozen = try backends()
            for backend in frozen { kill(backend, SIGSTOP) }
            return { for backend in frozen { kill(backend, SIGCONT) } }
        case .databaseReadOnly:
            try setReadOnly(true)
            undo = { try self.setReadOnly(false) }
        default:
            try setDiskFull(true)
            undo = { try self.setDiskFull(false) }
        }
        let began = ContinuousClock.now
        return {
            self.outages.append(began...ContinuousClock.now)
            try undo()
        }
    }

    /// The daemon's, in its own database.
    private func backends() throws -> [pid_t] {
        try stack.postgres.query(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'homeward%' AND datname = '\(stack.database)'"
        ).compactMap { $0.first.flatMap { $0 }.flatMap { pid_t($0) } }
    }

    private func setReadOnly(_ on: Bool) throws {
        // Past the setting that it changes.
        let past = "postgres?options=-cdefault_transaction_read_only%3Doff"
        try stack.postgres.query("ALTER SYSTEM SET default_transaction_read_only = \(on)", database: past)
        try stack.postgres.query("SELECT pg_reload_conf()", database: past)
        // The postmaster tells its backends in its own time.
        guard
            eventually({
                (try? stack.postgres.query("SHOW default_transaction_read_only").first?.first) == (on ? "on" : "off")
            })
        else { throw Stack.Failure(description: "the cluster did not reload") }
    }

    /// A switch that needs no lock of the daemon's tables to be turned.
    private func makeSwitch() throws {
        for statement in [
            "CREATE TABLE public.fault_switch (disk_is_full boolean NOT NULL)",
            "INSERT INTO public.fault_switch VALUES (false)",
            """
            CREATE FUNCTION public.fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF (SELECT disk_is_full FROM public.fault_switch) THEN
                RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
            END IF;
            RETURN NULL; END $$
            """,
            """
            CREATE TRIGGER fault AFTER INSERT ON homeward.report_key FOR EACH STATEMENT
            EXECUTE FUNCTION public.fault()
            """,
        ] { _ = try stack.query(statement) }
    }

    private func setDiskFull(_ on: Bool) throws {
        _ = try stack.query("UPDATE public.fault_switch SET disk_is_full = \(on)")
    }
}
