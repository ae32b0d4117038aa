/// A versioned SQL file of `migrations/`, embedded in the binary.
struct Migration: Sendable {
    var version: Int32
    var name: String
    var sql: [UInt8]

    /// In order. A file that was applied anywhere is never changed again: add the next one. Each file of the folder
    /// stands here; a test compares. (The generated names lose a leading digit, so files begin with `m`.)
    static let all = [
        Migration(version: 1, name: "m0001_registry.sql", sql: PackageResources.m0001_registry_sql),
        Migration(version: 2, name: "m0002_reports.sql", sql: PackageResources.m0002_reports_sql),
        Migration(version: 3, name: "m0003_alerts.sql", sql: PackageResources.m0003_alerts_sql),
        Migration(version: 4, name: "m0004_views.sql", sql: PackageResources.m0004_views_sql),
        Migration(version: 5, name: "m0005_rights.sql", sql: PackageResources.m0005_rights_sql),
        Migration(version: 6, name: "m0006_outages.sql", sql: PackageResources.m0006_outages_sql),
        Migration(version: 7, name: "m0007_triage.sql", sql: PackageResources.m0007_triage_sql),
        Migration(version: 8, name: "m0008_corrections.sql", sql: PackageResources.m0008_corrections_sql),
        Migration(version: 9, name: "m0009_attempts.sql", sql: PackageResources.m0009_attempts_sql),
        Migration(version: 10, name: "m0010_escalation.sql", sql: PackageResources.m0010_escalation_sql),
        Migration(version: 11, name: "m0011_noise.sql", sql: PackageResources.m0011_noise_sql),
        Migration(version: 12, name: "m0012_self_test.sql", sql: PackageResources.m0012_self_test_sql),
        Migration(version: 13, name: "m0013_sight.sql", sql: PackageResources.m0013_sight_sql),
        Migration(version: 14, name: "m0014_web.sql", sql: PackageResources.m0014_web_sql),
        Migration(version: 15, name: "m0015_desk.sql", sql: PackageResources.m0015_desk_sql),
        Migration(version: 16, name: "m0016_plan.sql", sql: PackageResources.m0016_plan_sql),
        Migration(version: 17, name: "m0017_lease.sql", sql: PackageResources.m0017_lease_sql),
        Migration(version: 18, name: "m0018_audit.sql", sql: PackageResources.m0018_audit_sql),
        Migration(version: 19, name: "m0019_looks.sql", sql: PackageResources.m0019_looks_sql),
        Migration(version: 20, name: "m0020_words.sql", sql: PackageResources.m0020_words_sql),
    ]
}
