public import Clinical

/// Where the database is and how long a call may take.
public struct DatabaseConfiguration: Sendable {
    /// Any libpq URI or conninfo string, without a password.
    public var url: String
    /// Given to libpq apart from `url`, never put into a string with it.
    public var password: String?
    /// The longest that one call of a store may take, reconnecting included.
    public var deadline: Interval
    /// Seen in `pg_stat_activity`.
    public var applicationName: String

    public init(
        url: String, password: String? = nil, deadline: Interval = .seconds(2), applicationName: String = "homeward"
    ) {
        self.url = url
        self.password = password
        self.deadline = deadline
        self.applicationName = applicationName
    }

    /// The same database for another purpose: `suffix` is added to the application's name.
    func named(_ suffix: String) -> DatabaseConfiguration {
        var copy = self
        copy.applicationName = "\(applicationName)-\(suffix)"
        return copy
    }
}
