import Alerting
import Clinical
import Glibc
import Ingestion
import PostgresStore
import Synchronization

/// What has changed among alerts from one look to the next. Pure.
struct AlertChanges {
    private var known: [AlertID: AlertRow] = [:]

    /// Those that are new or other than they were, in the order given. What is no longer given is forgotten.
    mutating func take(_ rows: [AlertRow]) -> [AlertRow] {
        let before = known
        known = Dictionary(rows.map { ($0.episode.id, Self.told($0)) }, uniquingKeysWith: { $1 })
        return rows.filter { before[$0.episode.id] != Self.told($0) }
    }

    /// The ledger of suppressions grows without anything happening to the alert.
    private static func told(_ row: AlertRow) -> AlertRow {
        var row = row
        row.suppressions = 0
        return row
    }
}

/// `homeward alerts list --follow`: looks every second until it is told to stop. A database that goes away is waited
/// for; one that is away at the start is a failure.
struct AlertFollowing {
    /// What was resolved is given for so long after, so that a commit that took its time is not missed.
    private static let overlap = Interval.minutes(5)

    private let reader: AlertReader
    private let filter: AlertFilter
    private let json: Bool
    private var changes = AlertChanges()

    /// `filter`: what is listed at first. What it lists is followed to its end.
    init(_ reader: AlertReader, _ filter: AlertFilter, json: Bool) {
        self.reader = reader
        self.filter = filter
        self.json = json
    }

    /// Returns at SIGINT or SIGTERM.
    mutating func run() throws(StoreFailure) {
        let signals = StopSignals()
        var since = try reader.now()
        write(try look(since: since).filter { $0.episode.state != .resolved || filter.recoveredUnseen })
        var isAway = false
        while !signals.arrive(within: 1) {
            do throws(StoreFailure) {
                let now = try reader.now()
                write(try look(since: since))
                since = max(since, now)
                if isAway { StandardError.write("the database is there again\n") }
                isAway = false
            } catch {
                if !isAway { StandardError.write("\(StandardErrorLog.escaped("\(error)")); waiting for it\n") }
                isAway = true
            }
        }
    }

    private mutating func look(since: Instant) throws(StoreFailure) -> [AlertRow] {
        var wanted = filter
        if !filter.recoveredUnseen {
            wanted.states = [.open, .acknowledged, .shelved]
            wanted.resolvedSince = since - Self.overlap
        }
        return changes.take(try reader.alerts(wanted))
    }

    private func write(_ rows: [AlertRow]) {
        var output = BufferedOutput()
        for row in rows { output.write(json ? AlertText.json(row) : AlertText.line(row)) }
        output.flush()
    }
}

/// Set by SIGINT and SIGTERM, whichever thread takes them.
private let isToldToStop = Atomic(false)

/// SIGINT and SIGTERM, looked for instead of dying of them.
private struct StopSignals {
    init() {
        // Made before a handler can ask for it.
        isToldToStop.store(false, ordering: .relaxed)
        for number in [SIGINT, SIGTERM] {
            _ = signal(number) { _ in isToldToStop.store(true, ordering: .relaxed) }
        }
    }

    /// Looks ten times a second.
    func arrive(within seconds: Int) -> Bool {
        for _ in 0..<(10 * seconds) {
            if isToldToStop.load(ordering: .relaxed) { return true }
            usleep(100_000)
        }
        return false
    }
}
