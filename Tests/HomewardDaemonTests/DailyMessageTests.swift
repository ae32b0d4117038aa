import Alerting
import Clinical
import Foundation
import Registry
import Testing

@testable import HomewardDaemon

@Suite struct DailyMessageTests {
    static func instant(_ text: String) -> Instant {
        let date = try? Date(text, strategy: .iso8601)
        return Instant(microseconds: Int64((date ?? .distantPast).timeIntervalSince1970) * 1_000_000)
    }

    @Test(arguments: [
        ("2026-11-23T06:00:00Z", "Europe/London", "2026-11-23T07:30:00Z"),
        ("2026-11-23T07:30:00Z", "Europe/London", "2026-11-24T07:30:00Z"),
        // The nights in which clocks change.
        ("2026-10-24T12:00:00Z", "Europe/London", "2026-10-25T07:30:00Z"),
        ("2026-03-28T12:00:00Z", "Europe/London", "2026-03-29T06:30:00Z"),
        ("2026-11-23T06:00:00Z", "Asia/Kathmandu", "2026-11-24T01:45:00Z"),
    ])
    func itIsDueInTheMorningOfTheSite(_ now: String, _ zone: String, _ due: String) {
        #expect(DailyMessages.due(after: Self.instant(now), timeZone: zone) == Self.instant(due))
    }

    private let north = Identifier("north")!
    private let now = instant("2026-11-23T07:30:00Z")

    private func registry(_ people: [CareManager], patients: [Patient]) -> Registry {
        Registry(
            version: 1, sites: [north: Site(code: north, name: "North")],
            careManagers: Dictionary(uniqueKeysWithValues: people.map { ($0.code, $0) }),
            patients: Dictionary(uniqueKeysWithValues: patients.map { ($0.code, $0) }),
            served: ServedChannels(email: true))
    }

    @Test func whoIsPausedIsNotMissed() throws {
        let today = try #require(CalendarDate(year: 2026, month: 11, day: 23))
        let pause = Pause(from: today, until: today, reason: "holiday")
        let patients = ["P1", "P2", "P3", "P4"].map { Patient(code: Identifier($0)!, site: north) }
        var everybody = patients
        for index in [2, 3] {
            everybody[index].profile.timeZone = "Europe/London"
            everybody[index].pauses = [pause]
        }
        let registry = registry([], patients: everybody)
        let site = try #require(registry.sites[north])
        let message = DailyMessage(
            of: site, registry: registry, at: now, heard: [patients[0].code, patients[2].code])
        #expect(message.text == "working: 3 watched, 2 heard from, 1 not")
    }

    @Test func theTeamIsToldEachByOneChannel() throws {
        let today = try #require(CalendarDate(year: 2026, month: 11, day: 23))
        func person(
            _ code: String, _ role: CareManager.Role = .careManager, email: Bool = false, webhook: Bool = false,
            away: Bool = false
        ) -> CareManager {
            CareManager(
                code: Identifier(code)!, site: north, email: email ? "\(code)@example.org" : nil,
                webhook: webhook ? "http://127.0.0.1:9/\(code)" : nil, mobile: "+447700900123", role: role,
                away: away ? [Absence(from: today, until: today, deputy: nil)] : [])
        }
        let registry = registry(
            [
                person("a", email: true, webhook: true), person("b", .teamLead, webhook: true),
                // Text messages are not set up here.
                person("c"), person("d", .administrator, email: true), person("e", email: true, away: true),
            ], patients: [])
        let site = try #require(registry.sites[north])
        let readers = DailyMessage(of: site, registry: registry, at: now, heard: []).readers(in: registry)
        #expect(readers.map { "\($0.code) \($0.channel.rawValue)" } == ["a email", "b webhook"])
    }

    @Test func theTimerRemembersWhoWasTold() {
        var round = DailyRound(Alerting.Timer(kind: "daily-message", subject: "north", due: now))
        #expect(round.began == now && round.told.isEmpty)
        round.told = [Identifier("a")!, Identifier("b")!]
        let later = DailyRound(
            Alerting.Timer(kind: "daily-message", subject: "north", due: now + .minutes(5), payload: round.payload))
        #expect(later.began == now)
        #expect(later.told == round.told)
    }
}
