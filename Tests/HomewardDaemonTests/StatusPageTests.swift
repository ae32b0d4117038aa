import Testing

@testable import HomewardDaemon

@Suite struct StatusPageTests {
    private static let page = """
        # HELP homeward_reports_received_total Reports received.
        homeward_reports_received_total 12
        homeward_reports_stored_total 9
        homeward_reports_duplicate_total 1
        homeward_reports_quarantined_total{reason="malformed"} 1
        homeward_reports_quarantined_total{reason="empty"} 1
        homeward_reports_in_flight 0
        homeward_alerts_raised_total{class="clinical",severity="red"} 2
        homeward_alerts_raised_total{class="technical",severity="amber"} 1
        homeward_spool_bytes 1536
        homeward_spool_quota_bytes 1073741824
        homeward_spool_left_seconds 190800
        homeward_broker_connected 1
        homeward_database_connected 0
        homeward_certificate_expiry_seconds{which="own"} 864000
        homeward_certificate_expiry_seconds{which="ca"} 86400000
        homeward_certificate_expiry_seconds{which="device:dev-0001"} -5

        """

    @Test func `a person reads what is up, what came and how long the spool lasts`() {
        let status = DaemonStatus(metrics: Self.page, isReady: false, readiness: #"{"ready":false}"# + "\n")
        #expect(
            status.lines == [
                #"state        not ready: {"ready":false}"#,
                "broker       connected",
                "database     away",
                "reports      12 received, 9 stored, 1 again, 2 quarantined, 0 in flight",
                "alerts       3 raised, 2 of them red",
                "spool        1.5 KiB of 1.0 GiB used, room for 53 h at today's rate",
                "certificate  own expires in 10 days",
                "certificate  device:dev-0001 has expired",
            ])
        #expect(status.json.hasPrefix(#"{"ready":false,"homeward_reports_received_total":12"#))
    }

    @Test func `a quiet daemon and one without a spool say so`() {
        let quiet = Self.page.replacing("left_seconds 190800", with: "left_seconds +Inf")
        #expect(
            DaemonStatus(metrics: quiet, isReady: true, readiness: "").lines[5]
                == "spool        1.5 KiB of 1.0 GiB used, nothing comes that would fill it")
        let none = Self.page.replacing("quota_bytes 1073741824", with: "quota_bytes 0")
        #expect(
            DaemonStatus(metrics: none, isReady: true, readiness: "").lines[5].hasSuffix("it is switched off"))
    }

    @Test func `the spool's hours come from the last day alone`() {
        var window = IntakeWindow()
        #expect(window.secondsLeft(room: 1000, received: 0, reports: 0, at: 0) == .infinity)
        // 100 bytes and a report of 64 more in 600 s.
        #expect(window.secondsLeft(room: 1640, received: 100, reports: 1, at: 600) == 6000)
        var day = IntakeWindow()
        for look in 0...200 as ClosedRange<Int64> {
            // A flood at the beginning is forgotten after a day.
            let bytes = look == 0 ? 0 : 1_000_000 + Int(look) * 600
            let left = day.secondsLeft(room: 86_400, received: bytes, reports: 0, at: look * 600)
            if look >= 146 { #expect(left == 86_400) }
        }
    }
}
