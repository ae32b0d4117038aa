/// A libpq URI or conninfo string, as far as its safety must be judged before libpq sees it.
struct DatabaseAddress: Equatable {
    /// Empty: libpq's own default.
    var hosts: [String] = []
    var sslMode: String?
    var hasPassword = false
    /// A `service` may name a host anywhere.
    var hasService = false

    /// Nil when libpq could not read it either.
    init?(_ text: String) {
        let parameters =
            if text.hasPrefix("postgresql://") || text.hasPrefix("postgres://") {
                Self.uriParameters(text)
            } else {
                Self.conninfoParameters(text)
            }
        guard let parameters else { return nil }
        for (name, value) in parameters {
            switch name {
            case "host", "hostaddr":
                hosts += value.split(separator: ",").map { host in
                    host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
                }
            case "password", "sslpassword": hasPassword = hasPassword || !value.isEmpty
            case "sslmode": sslMode = value
            case "ssl" where value == "true": sslMode = "require"
            case "service": hasService = true
            default: break
            }
        }
    }

    /// Whether something may pass unencrypted to another machine. What the address leaves open, libpq takes from
    /// `PGHOST` and `PGSSLMODE`, or goes to this machine.
    func isPlainTextToElsewhere(_ environment: [String: String]) -> Bool {
        if ["require", "verify-ca", "verify-full"].contains(sslMode ?? environment["PGSSLMODE"]) { return false }
        return isElsewhere(environment)
    }

    /// Whether it goes to another machine without the certificate being held against the host's name.
    func isUnverified(_ environment: [String: String]) -> Bool {
        (sslMode ?? environment["PGSSLMODE"]) != "verify-full" && isElsewhere(environment)
    }

    private func isElsewhere(_ environment: [String: String]) -> Bool {
        let named = hosts.isEmpty ? [environment["PGHOST"], environment["PGHOSTADDR"]].compactMap(\.self) : hosts
        return hasService || !named.flatMap { $0.split(separator: ",") }.allSatisfy { NetworkHost.isLocal(String($0)) }
    }

    /// `postgresql://[user[:password]@][host][:port][,…][/dbname][?name=value[&…]]`
    private static func uriParameters(_ text: String) -> [(String, String)]? {
        guard let scheme = text.firstRange(of: "://") else { return nil }
        var rest = text[scheme.upperBound...]
        var parameters: [(String, String)] = []
        // As libpq does: a user stands there only if an @ comes before any slash.
        if let end = rest.firstIndex(where: { $0 == "@" || $0 == "/" }), rest[end] == "@" {
            let user = rest[..<end].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            if user.count == 2 { parameters.append(("password", String(user[1]))) }
            rest = rest[rest.index(after: end)...]
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        for place in authority.split(separator: ",", omittingEmptySubsequences: false) where !place.isEmpty {
            guard let host = host(of: place) else { return nil }
            if !host.isEmpty { parameters.append(("host", host)) }
        }
        rest = rest[authority.endIndex...]
        guard let question = rest.firstIndex(of: "?") else { return parameters }
        for pair in rest[rest.index(after: question)...].split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let name = decoded(parts[0]), let value = decoded(parts[1]) else { return nil }
            parameters.append((name, value))
        }
        return parameters
    }

    /// The host of `host:port` or `[::1]:port`; nil when the brackets or the escapes are broken.
    private static func host(of place: Substring) -> String? {
        if place.hasPrefix("[") {
            guard let end = place.firstIndex(of: "]") else { return nil }
            return String(place[place.index(after: place.startIndex)..<end])
        }
        return decoded(place.prefix { $0 != ":" })
    }

    /// Percent escapes; nil when one is broken or hides a NUL.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, digits.allSatisfy(\.isHexDigit), let value = UInt8(digits, radix: 16),
                value != 0
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// `name = value` pairs, a value in single quotes where it has spaces, `\` before what is meant literally.
    private static func conninfoParameters(_ text: String) -> [(String, String)]? {
        var rest = Substring(text)
        var parameters: [(String, String)] = []
        func isSpace(_ character: Character) -> Bool { character.isWhitespace }
        while true {
            rest = rest.drop(while: isSpace)
            if rest.isEmpty { return parameters.isEmpty ? nil : parameters }
            let name = rest.prefix { $0 != "=" && !isSpace($0) }
            rest = rest.dropFirst(name.count).drop(while: isSpace)
            guard !name.isEmpty, rest.first == "=" else { return nil }
            rest = rest.dropFirst().drop(while: isSpace)
            let isQuoted = rest.first == "'"
            if isQuoted { rest = rest.dropFirst() }
            var value = ""
            var isClosed = !isQuoted
            while let character = rest.popFirst() {
                if isQuoted, character == "'" {
                    isClosed = true
                    break
                }
                if !isQuoted, isSpace(character) { break }
                if character == "\\" {
                    if let literal = rest.popFirst() { value.append(literal) }
                } else {
                    value.append(character)
                }
            }
            guard isClosed else { return nil }
            parameters.append((String(name), value))
        }
    }
}

/// Which host names and addresses never leave this machine.
enum NetworkHost {
    /// `localhost`, 127.0.0.0/8, `::1`, and the directory of a Unix socket.
    static func isLocal(_ host: String) -> Bool {
        if host.hasPrefix("/") || host.hasPrefix("@") { return true }
        if ["localhost", "::1", "[::1]", "0:0:0:0:0:0:0:1"].contains(host.lowercased()) { return true }
        // All four numbers: `127.example.org` is a name.
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { DecimalDigits.value(of: $0) }
        return parts.count == 4 && numbers.count == 4 && numbers.first == 127 && numbers.allSatisfy { $0 <= 255 }
    }
}
