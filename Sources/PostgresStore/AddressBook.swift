internal import CLinux
internal import Glibc
internal import Ingestion
internal import Synchronization

/// The addresses of the database's host names. Looking a name up takes a minute when its server is dead, so that it is
/// done on a thread of its own and whoever connects goes on with what was known. Any thread; one for the process, which
/// keeps what it learned: names come from the configuration alone.
final class AddressBook: Sendable {
    enum Answer: Sendable, Equatable {
        /// In the order to try; not empty.
        case addresses([String])
        /// The resolver's words.
        case failed(String)
    }

    private struct Entry {
        /// The last good answer; a failed lookup leaves it.
        var addresses: [String] = []
        var answeredAt: Int64 = 0
        /// Why the last lookup gave no answer.
        var problem: String?
        /// Nil when none is under way.
        var lookup: BackgroundWork<Void>?
    }

    static let shared = AddressBook(resolve: AddressBook.resolve)

    /// An answer older than this is used and looked up again meanwhile. Nanoseconds.
    private static let freshness: Int64 = 30_000_000_000
    /// How long a connect waits for the first answer; less where another server's address is known.
    private static let patience: Int64 = 500_000_000
    private static let patienceWithOthers: Int64 = 100_000_000

    private let clock: @Sendable () -> Int64
    private let resolve: @Sendable (String) -> Answer
    private let entries = Mutex<[String: Entry]>([:])

    /// - Parameters:
    ///   - clock: tells the age of answers; nanoseconds.
    ///   - resolve: may block for as long as it likes.
    init(
        clock: @escaping @Sendable () -> Int64 = { linux_monotonic_nanoseconds() },
        resolve: @escaping @Sendable (String) -> Answer
    ) {
        self.clock = clock
        self.resolve = resolve
    }

    /// The servers with an address in place of each name, a name of several addresses as several servers; those that
    /// have none yet are left out. Waits 0.5 s at most and not past the deadline (monotonic nanoseconds).
    ///
    /// - Throws: `transient` when no server is left.
    func addressed(_ list: ServerList, until deadline: Int64) throws(StoreFailure) -> ServerList {
        let names = Set(list.servers.filter(\.needsLookup).map(\.host))
        guard !names.isEmpty else { return list }
        let lookups = names.compactMap { lookup(of: $0) }
        let isOtherKnown = list.servers.contains { !$0.needsLookup || !addresses(of: $0.host).isEmpty }
        let patience = isOtherKnown ? Self.patienceWithOthers : Self.patience
        let end = min(deadline, linux_monotonic_nanoseconds() + patience)
        for lookup in lookups { lookup.value(until: end) }
        let servers = list.servers.flatMap { server in
            guard server.needsLookup else { return [server] }
            return addresses(of: server.host).map {
                ServerList.Server(host: server.host, address: $0, port: server.port)
            }
        }
        guard servers.isEmpty else { return ServerList(servers: servers) }
        let states = names.sorted().map { name in
            problem(of: name).map { "\(name) has no address: \($0)" } ?? "\(name) is being looked up"
        }
        throw StoreFailure(kind: .transient, message: "connecting: \(states.joined(separator: ", "))")
    }

    private func addresses(of name: String) -> [String] { entries.withLock { $0[name]?.addresses ?? [] } }

    private func problem(of name: String) -> String? {
        entries.withLock { entries in entries[name].flatMap { $0.lookup == nil ? $0.problem : nil } }
    }

    /// Begins one where it is time, at most one per name. Returns what to wait for: nothing where an answer is known.
    private func lookup(of name: String) -> BackgroundWork<Void>? {
        entries.withLock { entries in
            var entry = entries[name] ?? Entry()
            let age = clock() - entry.answeredAt
            if entry.lookup == nil, entry.addresses.isEmpty || age > Self.freshness {
                // It can't end before it is entered: it needs the lock for that.
                entry.lookup = BackgroundWork.start(name: "resolve") { self.enter(self.resolve(name), for: name) }
                entry.problem = entry.lookup == nil ? "no thread left" : entry.problem
            }
            entries[name] = entry
            return entry.addresses.isEmpty ? entry.lookup : nil
        }
    }

    private func enter(_ answer: Answer, for name: String) {
        entries.withLock { entries in
            var entry = entries[name] ?? Entry()
            entry.lookup = nil
            switch answer {
            case .addresses(let addresses):
                entry.addresses = addresses
                entry.answeredAt = clock()
                entry.problem = nil
            case .failed(let problem): entry.problem = problem
            }
            entries[name] = entry
        }
    }

    /// Asks the C library, as libpq would.
    @Sendable private static func resolve(_ name: String) -> Answer {
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = AF_UNSPEC
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let refusal = unsafe getaddrinfo(name, nil, &hints, &list)
        guard refusal == 0 else {
            return .failed(unsafe gai_strerror(refusal).map { unsafe String(cString: $0) } ?? "error \(refusal)")
        }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [String] = []
        var next = unsafe list
        while let entry = unsafe next {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let outcome = unsafe getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if outcome == 0, !addresses.contains(address) { addresses.append(address) }
            unsafe next = entry.pointee.ai_next
        }
        return addresses.isEmpty ? .failed("no address") : .addresses(addresses)
    }
}

extension ServerList.Server {
    /// False for an address, a socket's directory, libpq's default, and where the address is given.
    var needsLookup: Bool {
        let isPath = host.hasPrefix("/") || host.hasPrefix("@")
        guard address.isEmpty, !host.isEmpty, !isPath else { return false }
        var room = in6_addr()
        if unsafe inet_pton(AF_INET, host, &room) == 1 { return false }
        // `%` begins the scope of an IPv6 address.
        let unscoped = host.split(separator: "%").first.map(String.init) ?? host
        return unsafe inet_pton(AF_INET6, unscoped, &room) != 1
    }
}
