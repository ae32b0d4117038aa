internal import CLinux
internal import CPQ
internal import Clinical
internal import Glibc
internal import Ingestion

/// A statement that is prepared once per connection. Constant text only: values travel as parameters.
struct Statement {
    var name: StaticString
    var sql: StaticString
}

/// One libpq connection with one owner; ended in `deinit`. One thread at a time.
///
/// libpq is never allowed to block: it is given addresses, not names (but for those of a service file); each call of a
/// store sets one deadline for all that it does, every wait is a `poll` of ours up to it, and when it passes the socket
/// is closed (`PQcancel` would hang on a stopped server).
/// https://www.postgresql.org/docs/15/libpq-async.html
@safe struct PostgresConnection: ~Copyable {
    private(set) var handle: OpaquePointer?
    let configuration: DatabaseConfiguration
    private let addressBook: AddressBook
    var prepared: Set<String> = []
    private var deadline: Int64 = 0
    /// Where the next attempt to connect begins, in the order of the URL; outlives `close()`.
    private var firstServer = 0

    /// Not connected yet.
    init(_ configuration: DatabaseConfiguration, addressBook: AddressBook = .shared) {
        unsafe handle = nil
        self.configuration = configuration
        self.addressBook = addressBook
    }

    deinit {
        if let handle = unsafe handle { unsafe PQfinish(handle) }
    }

    var isConnected: Bool { unsafe handle != nil && PQstatus(handle) == CONNECTION_OK }

    var isIdle: Bool { unsafe handle != nil && PQtransactionStatus(handle) == PQTRANS_IDLE }

    /// For a poll set; -1 when not connected.
    var socket: Int32 {
        guard let handle = unsafe handle else { return -1 }
        return unsafe PQsocket(handle)
    }

    /// No deadline is later than this time of the monotonic clock, in nanoseconds.
    var limit: Int64?

    /// The deadline of everything up to the next `startCall`.
    mutating func startCall() {
        startCall(within: configuration.deadline)
        if let limit { deadline = min(deadline, limit) }
    }

    mutating func startCall(within limit: Interval) {
        let nanoseconds = limit.microseconds.multipliedReportingOverflow(by: 1000)
        let end = linux_monotonic_nanoseconds().addingReportingOverflow(nanoseconds.partialValue)
        deadline = nanoseconds.overflow || end.overflow ? .max : end.partialValue
    }

    /// Ends the connection at once, without a word to the server that could block.
    mutating func close() {
        guard let old = unsafe handle else { return }
        unsafe handle = nil
        prepared.removeAll()
        let descriptor = unsafe PQsocket(old)
        if descriptor >= 0 { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
        unsafe PQfinish(old)
    }

    // MARK: Connecting

    /// Connects unless connected, within the call's deadline. Several servers share it, so that one that takes
    /// connections and never answers does not use it up; the next attempt, of this call or of a later one, begins with
    /// the server after.
    mutating func connect() throws(StoreFailure) {
        if isConnected { return }
        close()
        let servers = try addressBook.addressed(ServerList(configuration.url), until: deadline)
        let end = deadline
        defer { deadline = end }
        var left = max(servers.servers.count, 1)
        while true {
            deadline = Self.share(of: end, among: left)
            do throws(StoreFailure) {
                return try connect(to: servers.beginning(at: firstServer % max(servers.servers.count, 1)))
            } catch {
                let now = linux_monotonic_nanoseconds()
                let hasHung = now >= deadline
                firstServer = (firstServer + 1) % max(servers.servers.count, 1)
                left -= 1
                // What failed otherwise has been tried with every server.
                guard hasHung, left > 0, now < end else { throw error }
            }
        }
    }

    /// The deadline of an attempt when so many are left: an even part of the time, from 0.5 s to 5 s; all of it for the
    /// last one.
    private static func share(of end: Int64, among left: Int) -> Int64 {
        let now = linux_monotonic_nanoseconds()
        guard left > 1, end > now else { return end }
        return min(end, now + min(max((end - now) / Int64(left), 500_000_000), 5_000_000_000))
    }

    /// Connects unless connected, and checks the server and its schema, within the call's deadline.
    mutating func connectChecked() throws(StoreFailure) {
        guard !isConnected else { return }
        try connect()
        do {
            try ServerCheck.run(&self)
        } catch {
            close()
            throw error
        }
    }

    /// Begins a call on a connection to a server that was checked.
    mutating func startCheckedCall() throws(StoreFailure) {
        startCall()
        try connectChecked()
    }

    /// One attempt, in which libpq goes on to the next server when one refuses or is read-only.
    private mutating func connect(to servers: ServerList) throws(StoreFailure) {
        unsafe handle = startConnecting(to: servers)
        guard unsafe handle != nil else { throw failure("connecting: out of memory") }
        guard unsafe PQstatus(handle) != CONNECTION_BAD else { throw connectFailure() }
        // The only way to the SQLSTATE of a refused connect is the verbose message.
        _ = unsafe PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
        var wanted = Int16(POLLOUT)
        connecting: while true {
            try wait(for: wanted, doing: "connecting")
            switch unsafe PQconnectPoll(handle) {
            case PGRES_POLLING_OK: break connecting
            case PGRES_POLLING_READING: wanted = Int16(POLLIN)
            case PGRES_POLLING_WRITING: wanted = Int16(POLLOUT)
            default: throw connectFailure()
            }
        }
        guard unsafe PQsetnonblocking(handle, 1) == 0 else { throw brokenConnection("connecting") }
        // Warnings and notices have no reader; by default libpq prints them.
        _ = unsafe PQsetNoticeProcessor(handle, { _, _ in }, nil)
    }

    private func startConnecting(to servers: ServerList) -> OpaquePointer? {
        // Later keywords win; those before `dbname` are defaults that the URL may change. Compiling a statement (`jit`)
        // takes longer than any of ours runs.
        var settings: [(keyword: String, value: String)] = [
            ("tcp_user_timeout", "2000"), ("keepalives", "1"), ("keepalives_idle", "5"), ("keepalives_interval", "2"),
            ("keepalives_count", "3"), ("target_session_attrs", "read-write"),
            ("application_name", configuration.applicationName), ("dbname", configuration.url),
            (
                "options",
                "-c statement_timeout=4s -c lock_timeout=2s -c idle_in_transaction_session_timeout=10s"
                    + " -c client_connection_check_interval=1s -c synchronous_commit=on -c jit=off"
                    + " -c search_path=homeward"
            ),
            ("client_encoding", "UTF8"),
        ]
        settings += servers.settings
        if let password = configuration.password { settings.append(("password", password)) }
        var keywords: [UnsafePointer<CChar>?] = unsafe settings.map { unsafe UnsafePointer(strdup($0.keyword)) }
        var values: [UnsafePointer<CChar>?] = unsafe settings.map { unsafe UnsafePointer(strdup($0.value)) }
        unsafe keywords.append(nil)
        unsafe values.append(nil)
        defer {
            for index in settings.indices {
                unsafe free(UnsafeMutablePointer(mutating: keywords[index]))
                unsafe free(UnsafeMutablePointer(mutating: values[index]))
            }
        }
        return unsafe PQconnectStartParams(keywords, values, 1)
    }

    /// Reads the message before the handle is gone.
    private mutating func connectFailure() -> StoreFailure {
        let message = unsafe PQerrorMessage(handle).map { unsafe String(cString: $0) } ?? ""
        let needsPassword = unsafe PQconnectionNeedsPassword(handle) == 1
        close()
        let state = SQLState.inConnectMessage(message) ?? (needsPassword ? "28P01" : nil)
        let line = message.split(separator: "\n").first.map(String.init) ?? "no reason given"
        return StoreFailure(kind: SQLState.kind(state), sqlState: state, message: "connecting: \(line)")
    }

    // MARK: Waiting

    /// Waits until the socket is ready or the deadline has passed, which closes the connection.
    mutating func wait(for events: Int16, doing: StaticString) throws(StoreFailure) {
        while true {
            let left = deadline - linux_monotonic_nanoseconds()
            guard left > 0, unsafe handle != nil else {
                close()
                throw failure("\(doing): deadline passed")
            }
            var entry = pollfd(fd: socket, events: events, revents: 0)
            let milliseconds = Int32(clamping: (left + 999_999) / 1_000_000)
            let ready = unsafe poll(&entry, 1, milliseconds)
            if ready > 0 { return }
            if ready < 0, errno != EINTR { throw brokenConnection(doing) }
        }
    }

    /// Sends what libpq has buffered, taking in what comes meanwhile so that neither side blocks the other.
    mutating func flush(doing: StaticString) throws(StoreFailure) {
        while true {
            switch unsafe PQflush(handle) {
            case 0: return
            case 1:
                try wait(for: Int16(POLLIN | POLLOUT), doing: doing)
                guard unsafe PQconsumeInput(handle) == 1 else { throw brokenConnection(doing) }
            default: throw brokenConnection(doing)
            }
        }
    }

    /// The next result of what was sent; nil at its end.
    mutating func nextResult(doing: StaticString) throws(StoreFailure) -> PostgresResult? {
        while unsafe PQisBusy(handle) == 1 {
            try wait(for: Int16(POLLIN), doing: doing)
            guard unsafe PQconsumeInput(handle) == 1 else { throw brokenConnection(doing) }
        }
        guard let result = unsafe PQgetResult(handle) else { return nil }
        return unsafe PostgresResult(owning: result)
    }

    // MARK: Failures

    func failure(_ message: String) -> StoreFailure { StoreFailure(kind: .transient, message: message) }

    /// The connection is of no more use.
    mutating func brokenConnection(_ doing: StaticString) -> StoreFailure {
        let message = unsafe PQerrorMessage(handle).map { unsafe String(cString: $0) } ?? ""
        close()
        let line = message.split(separator: "\n").first.map(String.init) ?? "no reason given"
        return failure("\(doing): connection lost: \(line)")
    }

    /// The one funnel of errors in results. Closes a connection that the server ended.
    mutating func failure(of result: borrowing PostgresResult, doing: StaticString) -> StoreFailure {
        let state = result.errorField("C")
        var kind = SQLState.kind(state)
        let constraint = result.errorField("n")
        // Another transaction opened the same episode between our look and our insert: look again.
        if constraint == "alert_one_open" { kind = .transient }
        // Messages of class 22 and 23 may quote the value; the names of what was hurt never do.
        var message = kind == .poison ? "refused" : result.errorField("M") ?? "connection lost"
        for (label, field) in [("table", "t"), ("column", "c"), ("constraint", "n")] as [(String, UnicodeScalar)] {
            if let name = result.errorField(field) { message += ", \(label) \(name)" }
        }
        if !isConnected { close() }
        return StoreFailure(kind: kind, sqlState: state, message: "\(doing): \(message)")
    }
}
