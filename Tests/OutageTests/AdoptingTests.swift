import Alerting
import Clinical
import Foundation
import Testing

@testable import Outage

/// What one instance told without the database becomes another's to record.
@Suite struct AdoptingTests {
    @Test func `what was sent is sent, and what was not waits until it is recorded`() throws {
        let (one, other) = (try Scratch(), try Scratch())
        let teller = try OutageDeliveries(directory: one.path)
        try teller.add([notice(1), notice(2)])
        let jobs = teller.claim(limit: 1, lease: .hours(1))
        let sent = try #require(jobs.first)
        #expect(teller.lines() == nil, "a message is under way")
        teller.record(.sent(at: Ward.now), of: sent)
        let lines = try #require(teller.lines())
        teller.forgetEverything()
        #expect(teller.isEmpty && teller.lines() == [])
        #expect(try OutageDeliveries(directory: one.path).isEmpty)

        let holder = try OutageDeliveries(directory: other.path)
        holder.adopt(lines)
        // Twice, as after a crash between the two.
        holder.adopt(lines)
        #expect(holder.claim(limit: 9, lease: .hours(1)).isEmpty)
        #expect(holder.unrecorded.count == 2)
        #expect(holder.standing(of: sent.entry.key) == .sent(at: Ward.now))
        let states = Set([notice(1), notice(2)].flatMap { holder.deliveries(of: $0.job.episode.id) }.map(\.state))
        #expect(states == [.sent(at: Ward.now), .pending])
        holder.release()
        #expect(holder.claim(limit: 9, lease: .hours(1)).isEmpty)
        let alerts = [notice(1), notice(2)].map { AlertAlias(alias: $0.job.episode.id, alert: $0.job.episode.id) }
        holder.handOver(alerts, recorded: [])
        holder.endOutage()
        #expect(holder.isEmpty)
    }

    @Test func `its own of the same alert stay as they are`() throws {
        let (one, other) = (try Scratch(), try Scratch())
        let teller = try OutageDeliveries(directory: one.path)
        try teller.add([notice(1)])
        let holder = try OutageDeliveries(directory: other.path)
        try holder.add([notice(1)])
        holder.adopt(try #require(teller.lines()))
        #expect(holder.claim(limit: 9, lease: .hours(1)).map(\.entry.key) == [notice(1).job.entry.key])
    }
}
