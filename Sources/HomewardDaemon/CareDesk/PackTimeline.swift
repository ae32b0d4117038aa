import Alerting
import Clinical
import Documents
import PostgresStore
import Synchronization

/// Which contents of the packs were in force when, as far as the database's records tell. Pure.
enum PackTimeline {
    struct Span: Hashable {
        var from: Instant
        /// SHA-256, by pack.
        var hashes: [String: [UInt8]]
        var standing: PastPlan.Packs
    }

    /// The most spans that are told apart: of more changes the oldest are left out.
    static let longest = 40

    /// Oldest first, the first from `start` on; neighbours differ.
    static func spans(_ records: PackRecords, from start: Instant, until end: Instant) -> [Span] {
        let changes =
            records.contents.map(\.seenAt) + records.approvals.map(\.at) + records.approvals.compactMap(\.retiredAt)
        let cuts = Set(changes.filter { $0 > start && $0 <= end }).sorted().suffix(longest)
        var spans: [Span] = []
        for cut in [start] + cuts {
            let span = state(records, at: cut)
            if let last = spans.last, last.hashes == span.hashes, last.standing == span.standing { continue }
            spans.append(span)
        }
        return spans
    }

    /// Of each pack the content approved last, unless it was retired since; else the configured one, of which only the first
    /// time that each was met is recorded.
    private static func state(_ records: PackRecords, at instant: Instant) -> Span {
        let began = records.contents.map(\.seenAt).min()
        var span = Span(from: instant, hashes: [:], standing: .approved)
        for pack in Set(records.contents.map(\.pack) + records.approvals.map(\.pack)) {
            let last = records.approvals.last { $0.pack == pack && $0.at <= instant }
            let retiredAt = last?.retiredAt.flatMap { $0 <= instant ? $0 : nil }
            if let last, retiredAt == nil {
                span.hashes[pack] = last.hash
                continue
            }
            let own = records.contents.filter { $0.pack == pack }
            let met = own.filter { content in
                content.seenAt <= instant && (retiredAt.map { content.seenAt > $0 } ?? true)
            }
            if let newest = met.max(by: { $0.seenAt < $1.seenAt }) {
                span.hashes[pack] = newest.hash
                // A file may have been changed back.
                let isOnly = met.count == 1 && retiredAt == nil
                if !isOnly {
                    span.standing = .notKnown
                } else if span.standing == .approved {
                    span.standing = .notApproved
                }
            } else if last == nil, began.map({ instant < $0 }) ?? true, let first = own.first {
                // Before anything was recorded.
                span.hashes[pack] = first.hash
                span.standing = .notKnown
            }
        }
        if span.hashes.isEmpty { span.standing = .notKnown }
        return span
    }
}

/// The packs that were in force at some time, as they judge. Contents never change: those parsed once are kept, some at a
/// time. Any thread may ask.
final class PastPacks: Sendable {
    struct Span {
        var from: Instant
        var library: PackLibrary
        var standing: PastPlan.Packs
    }

    private static let kept = 32

    private let keeper: PackKeeper
    /// Nil: they can't be used together any more.
    private let parsed = Mutex<[[String: [UInt8]]: PackLibrary?]>([:])

    init(_ keeper: PackKeeper) { self.keeper = keeper }

    /// - Parameter now: the packs in force, which stand in for those that can't be known or used.
    func spans(
        _ records: PackRecords, from start: Instant, until end: Instant, now: PackLibrary
    ) async throws(CareDeskUnavailable) -> [Span] {
        let inForce = keeper.hashes
        let approved = Set(records.approvals.map(\.pack))
        var spans: [Span] = []
        let timeline = PackTimeline.spans(records, from: start, until: end)
        for (place, span) in timeline.enumerated() {
            // Of a pack that nobody approved it is not recorded when its file went: it says nothing to whoever doesn't
            // name it.
            let lasting = span.hashes.filter { inForce[$0.key] != nil || approved.contains($0.key) }
            let isSame = lasting == inForce
            // What judges now is known, whatever the records say.
            let isLast = place == timeline.count - 1
            let isNow = span.hashes.isEmpty || isSame && lasting.count == span.hashes.count || isLast && !isSame
            let library = isNow ? nil : try await library(span.hashes)
            let isKnown = isSame || (!isLast && library != nil)
            spans.append(
                Span(from: span.from, library: library ?? now, standing: isKnown ? span.standing : .notKnown))
        }
        return spans
    }

    private func library(_ hashes: [String: [UInt8]]) async throws(CareDeskUnavailable) -> PackLibrary? {
        if let known = parsed.withLock({ $0[hashes] }) { return known }
        let found = try await keeper.contents(Array(Set(hashes.values)))
        let files = found.filter { hashes[$0.code] == $0.hash }.sorted { $0.code < $1.code }
        let (library, problems) = PackLibrary.load(files)
        let usable = problems.isEmpty && files.count == hashes.count ? library : nil
        parsed.withLock { parsed in
            if parsed.count >= Self.kept { parsed = [:] }
            parsed[hashes] = .some(usable)
        }
        return usable
    }
}
