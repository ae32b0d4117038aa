internal import CPQ
internal import Ingestion

/// The servers that `database.url` names, in its order.
/// https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
struct ServerList: Equatable {
    struct Server: Hashable {
        /// A name, an address or a socket's directory; empty where only the address is given.
        var host: String
        /// `hostaddr`; empty where libpq is to take the host.
        var address: String
        /// Empty: libpq's own default.
        var port: String
    }

    /// Empty where libpq alone knows them: those of a service file.
    var servers: [Server]

    /// - Throws: `misconfigured` when it can't be understood or holds a password.
    init(_ url: String) throws(StoreFailure) {
        guard var options = unsafe Self.options(PQconninfoParse(url, nil)) else {
            throw StoreFailure(kind: .misconfigured, message: "database.url is not a PostgreSQL URI or conninfo string")
        }
        // It would end up in process lists and configuration backups.
        guard options["password"] == nil else {
            throw StoreFailure(kind: .misconfigured, message: "database.url holds a password; use password_file")
        }
        servers = []
        guard options["service"] == nil else { return }
        if options["host"] == nil, options["hostaddr"] == nil {
            let defaults = unsafe Self.options(PQconndefaults()) ?? [:]
            for keyword in ["host", "hostaddr"] { options[keyword] = defaults[keyword] }
        }
        let hosts = Self.list(options["host"])
        let addresses = Self.list(options["hostaddr"])
        let ports = Self.list(options["port"])
        let count = max(hosts.count, addresses.count, 1)
        guard hosts.isEmpty || addresses.isEmpty || hosts.count == addresses.count else {
            throw StoreFailure(
                kind: .misconfigured,
                message: "database.url has \(hosts.count) hosts, but \(addresses.count) hostaddr")
        }
        guard ports.count <= 1 || ports.count == count else {
            throw StoreFailure(
                kind: .misconfigured, message: "database.url has \(count) hosts, but \(ports.count) ports")
        }
        for index in 0..<count {
            let port = ports.indices.contains(index) ? ports[index] : ports.first ?? ""
            servers.append(
                Server(
                    host: hosts.indices.contains(index) ? hosts[index] : "",
                    address: addresses.indices.contains(index) ? addresses[index] : "", port: port))
        }
    }

    init(servers: [Server]) { self.servers = servers }

    /// All of them, beginning with another.
    func beginning(at place: Int) -> ServerList {
        guard servers.indices.contains(place) else { return self }
        return ServerList(servers: Array(servers[place...] + servers[..<place]))
    }

    /// What libpq is to take instead of the URL's own. An empty value is none.
    var settings: [(keyword: String, value: String)] {
        let lists = [("host", \Server.host), ("hostaddr", \Server.address), ("port", \Server.port)]
        return lists.map { keyword, path in
            let values = servers.map { $0[keyPath: path] }
            return (keyword, values.allSatisfy(\.isEmpty) ? "" : values.joined(separator: ","))
        }
    }

    private static func list(_ value: String?) -> [String] {
        guard let value, !value.isEmpty else { return [] }
        return value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    /// What is set, by keyword; frees what libpq made.
    private static func options(_ first: UnsafeMutablePointer<PQconninfoOption>?) -> [String: String]? {
        guard let first = unsafe first else { return nil }
        defer { unsafe PQconninfoFree(first) }
        var options: [String: String] = [:]
        var option = unsafe first
        while let keyword = unsafe option.pointee.keyword {
            if let value = unsafe option.pointee.val {
                options[unsafe String(cString: keyword)] = unsafe String(cString: value)
            }
            unsafe option += 1
        }
        return options
    }
}
