import Clinical

/// The mapping of `homeward.yaml` -> `Configuration`.
struct ConfigurationDocument {
    let files: ConfigurationFiles

    var value: DocumentValue<Configuration> {
        .record { reader in
            let broker = reader.section("broker", self.broker)
            let database = reader.section("database", self.database(isInsecureAllowed: isInsecure(reader)))
            let sites = reader.required("sites", self.sites)
            let protocols = reader.optional("protocols", files.existingDirectory)
            let spool = reader.section("spool", self.spool)
            let deadlines = reader.section("deadlines", self.deadlines)
            let http = reader.section("http", self.http)
            let metrics = reader.section("metrics", self.metrics(besides: http))
            let heartbeat = reader.optional("heartbeat_url", .webURL)
            let retention = reader.optional("retention", self.retention)
            let delivery = reader.section("delivery", self.delivery(isInsecureAllowed: isInsecure(reader)))
            let log = reader.section("log", self.log)
            guard let broker, let database, let sites, let spool, let deadlines, let http, let metrics, let delivery,
                let log
            else { return nil }
            return Configuration(
                broker: broker, database: database, sites: sites, protocolsDirectory: protocols, spool: spool,
                deadlines: deadlines, http: http, metrics: metrics, heartbeatURL: heartbeat, retention: retention,
                delivery: delivery, log: log)
        }
    }

    // MARK: - Broker and database

    private var broker: DocumentValue<Configuration.Broker> {
        .record { reader in
            let host = reader.required("host", .hostName)
            let port = reader.optional("port", .port(from: 1)) ?? 1883
            let version = reader.optional("protocol", Self.protocolVersion) ?? .mqtt5
            let clientID = reader.optional("client_id", Self.clientID) ?? "homeward"
            let username = reader.optional("username", .text)
            let password = secret("password", "broker", as: files.password, reader)
            if password != nil, username == nil { reader.report("wants a username beside it", at: "password_file") }
            let tls = reader.optional("tls", clientTLS)
            let isInsecure = reader.optional("insecure", .boolean) ?? false
            guard let host else { return nil }
            if reader["tls"] == nil, !isInsecure, !NetworkHost.isLocal(host) {
                reader.report(
                    "\(host) is not this machine and there is no tls: plain text is refused unless broker.insecure is true",
                    at: "host")
            }
            if reader["tls"] == nil, isInsecure, !NetworkHost.isLocal(host) {
                reader.note("readings and passwords go in plain text to \(host): broker.insecure is true", at: "host")
            }
            return Configuration.Broker(
                host: host, port: port, version: version, clientID: clientID, username: username, password: password,
                tls: tls, isInsecureAllowed: isInsecure)
        }
    }

    private static var protocolVersion: DocumentValue<Configuration.Broker.ProtocolVersion> {
        DocumentValue<String>.text.mapping(expected: "\"5\" or \"3.1.1\"") { .init(rawValue: $0) }
    }

    /// Kept short of MQTT's 65,535 bytes by far, since a second client adds to it.
    private static var clientID: DocumentValue<String> {
        DocumentValue<String>.text.mapping(expected: "1 to 64 printable ASCII characters without spaces") { text in
            text.utf8.count <= 64 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? text : nil
        }
    }

    private var clientTLS: DocumentValue<Configuration.ClientTLS> {
        .record { reader in
            let authority = reader.optional("ca_file", files.file)
            let certificate = reader.optional("certificate_file", files.file)
            let key = reader.optional("key_file", files.file)
            if reader["certificate_file"] != nil, reader["key_file"] == nil {
                reader.report("wants key_file beside it", at: "certificate_file")
            }
            if reader["key_file"] != nil, reader["certificate_file"] == nil {
                reader.report("wants certificate_file beside it", at: "key_file")
            }
            let watched = reader.optional("watched_directory", files.existingDirectory)
            return Configuration.ClientTLS(
                caFile: authority, certificateFile: certificate, keyFile: key, watchedDirectory: watched)
        }
    }

    /// `broker.insecure` speaks for the database too. Looked at without a word: its own reader reports what is wrong.
    private func isInsecure(_ reader: MappingReader) -> Bool {
        guard case .mapping(let fields) = reader["broker"]?.content else { return false }
        return fields.contains { $0.name == "insecure" && $0.value.content == .boolean(true) }
    }

    private func database(isInsecureAllowed: Bool) -> DocumentValue<Configuration.Database> {
        .record { reader in
            let url = reader.required("url", .text.withheld)
            let password = secret("password", "database", as: files.password, reader)
            guard let url else { return nil }
            guard let address = DatabaseAddress(url) else {
                reader.report("is no libpq URI or conninfo string", at: "url")
                return nil
            }
            if address.hasPassword {
                reader.report("holds a password: put it into a file and name that in password_file", at: "url")
            }
            if address.isPlainTextToElsewhere(files.environment) {
                if isInsecureAllowed {
                    reader.note("may go in plain text to another machine: broker.insecure is true", at: "url")
                } else {
                    reader.report(
                        "may go in plain text to another machine: add sslmode=verify-full (or require); plain text is "
                            + "refused unless broker.insecure is true", at: "url")
                }
            } else if address.isUnverified(files.environment) {
                reader.note("does not look who answers: sslmode=verify-full does", at: "url")
            }
            return Configuration.Database(url: url, password: password)
        }
    }

    /// The secret `NAME` of a section: the variable `HOMEWARD_SECTION_NAME`, else what `NAME_file` names. `NAME` itself
    /// never stands in the file.
    func secret<Value>(
        _ name: String, _ section: String, as type: DocumentValue<Value>, _ reader: MappingReader
    ) -> Value? where Value: SecretValue {
        if reader[name] != nil {
            reader.report("a secret never stands here: put it into a file and name that in \(name)_file", at: name)
        }
        let stored = reader.optional("\(name)_file", type)
        let variable = ConfigurationEnvironment.variable(of: "\(section).\(name)")
        guard let text = files.environment[variable], !text.isEmpty else { return stored }
        return Value(secret: text)
    }

    // MARK: - Everything else

    var sites: DocumentValue<Configuration.Sites> {
        DocumentValue { node, context in
            let site = DocumentValue<Identifier?> { node, context in
                if case .string("*", _) = node.content { return .some(nil) }
                // A bad code is nothing, which is not the same as "*".
                return DocumentValue.identifier.read(node, context).map(Optional.some)
            }
            guard let sites = DocumentValue<[Identifier?]>.list(of: site).read(node, context) else { return nil }
            if node.content == .list([]) {
                context.report("is empty: name the sites, or [\"*\"] for all of them", at: node)
            }
            let codes = sites.compactMap(\.self)
            let isAll = codes.count < sites.count
            if isAll, !codes.isEmpty { context.report("\"*\" is all sites: no other stands beside it", at: node) }
            if Set(codes).count < codes.count { context.report("names a site twice", at: node) }
            return Configuration.Sites(isAll: isAll, codes: codes)
        }
    }

    private var spool: DocumentValue<Configuration.Spool> {
        .record { reader in
            let named = reader.optional("directory", files.path)
            let quota = reader.optional("quota", .size) ?? 1 << 30
            let key = reader.optional("key_file", files.file)
            // A report is up to 64 KiB, and the last 5 % are kept for reports with a red.
            if quota != 0, quota < 16 << 20 {
                reader.report("is too small: at least 16MiB, or 0 to switch the spool off", at: "quota")
            }
            if reader["directory"] == nil, files.defaultSpool == nil {
                reader.report("spool.directory is missing, and neither STATE_DIRECTORY nor HOME is set")
            }
            guard let directory = named ?? files.defaultSpool, reader["key_file"] == nil || key != nil else {
                return nil
            }
            return Configuration.Spool(directory: directory, quota: quota, keyFile: key)
        }
    }

    private var retention: DocumentValue<Configuration.Retention> {
        .record { reader in
            // 14: the least that keeps the keys of stored reports for 400 days.
            let months = reader.required("months", .integer(in: 14...1200))
            let archive = reader.required("archive", files.path)
            guard let months, let archive else { return nil }
            return Configuration.Retention(months: months, archive: archive)
        }
    }

    private var deadlines: DocumentValue<Configuration.Deadlines> {
        .record { reader in
            let keepalive = Configuration.brokerKeepalive
            func deadline(_ key: String, _ standard: Interval, below limit: Interval, _ why: String) -> Interval {
                let value = reader.optional(key, .duration) ?? standard
                if value <= .seconds(0) { reader.report("must be longer than nothing", at: key) }
                if value >= limit { reader.report(why, at: key) }
                return value
            }
            return Configuration.Deadlines(
                durable: deadline(
                    "durable", .seconds(2), below: keepalive,
                    "must be below the broker's keepalive of 20s, or a hold would cost the connection"),
                database: deadline(
                    "database", .seconds(2), below: keepalive,
                    "must be below the broker's keepalive of 20s, since acknowledgements wait for it"),
                delivery: deadline("delivery", .seconds(10), below: .minutes(5), "must be below 5m"))
        }
    }

    private var http: DocumentValue<Configuration.HTTP> {
        .record { reader in
            let host = reader.optional("host", .hostName) ?? "127.0.0.1"
            let port = reader.optional("port", .port(from: 0)) ?? 8480
            let tls = reader.optional("tls", serverTLS)
            let scheme = reader["tls"] == nil ? "http" : "https"
            let shown = host.contains(":") ? "[\(host)]" : host
            let named = reader.optional("public_url", .webURL)
            let publicURL = named.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
            if reader["tls"] == nil, !NetworkHost.isLocal(host) {
                reader.note("listens beyond this machine without tls", at: "host")
            }
            return Configuration.HTTP(
                host: host, port: port, publicURL: publicURL ?? "\(scheme)://\(shown):\(port)", tls: tls)
        }
    }

    private var serverTLS: DocumentValue<Configuration.ServerTLS> {
        .record { reader in
            let certificate = reader.required("certificate_file", files.file)
            let key = reader.required("key_file", files.file)
            guard let certificate, let key else { return nil }
            return Configuration.ServerTLS(certificateFile: certificate, keyFile: key)
        }
    }

    private func metrics(besides http: Configuration.HTTP?) -> DocumentValue<Configuration.Metrics> {
        .record { reader in
            let host = reader.optional("host", .hostName) ?? http?.host ?? "127.0.0.1"
            let port = reader.optional("port", .port(from: 0)) ?? http?.port ?? 8480
            return Configuration.Metrics(host: host, port: port)
        }
    }

    private var log: DocumentValue<Configuration.Log> {
        .record { reader in
            Configuration.Log(
                level: reader.optional("level", .choice(Configuration.Log.Level.self)) ?? .info,
                format: reader.optional("format", .choice(Configuration.Log.Format.self)) ?? .text)
        }
    }
}

/// What a secret may be: text, or bytes.
protocol SecretValue {
    init(secret text: String)
}

extension String: SecretValue {
    init(secret text: String) { self = text }
}

extension [UInt8]: SecretValue {
    init(secret text: String) { self = Array(text.utf8) }
}

extension MappingReader {
    /// A section that may be left out whole: then it is read as empty, so that defaults and missing keys are its
    /// reader's alone.
    func section<Value>(_ key: String, _ type: DocumentValue<Value>) -> Value? {
        var place = self[key] ?? node
        if self[key] == nil { place.content = .mapping([]) }
        return type.read(place, context(of: key))
    }
}

extension DocumentValue where Value == String {
    /// A host name or address, or the directory of a Unix socket: no spaces, no scheme, no port.
    static var hostName: DocumentValue {
        DocumentValue<String>.text.mapping(expected: "a host name or address") { text in
            let isClean = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F } && !text.contains("/")
            let colons = text.count { $0 == ":" }
            return isClean && text.utf8.count <= 253 && (colons == 0 || colons >= 2) ? text : nil
        }
    }
}

extension DocumentValue where Value == UInt16 {
    static func port(from first: UInt16) -> DocumentValue {
        DocumentValue(expected: "a port from \(first) to 65535") { content in
            guard case .number(let value) = content, let port = UInt16(exactly: value) else { return nil }
            return port >= first ? port : nil
        }
    }
}
