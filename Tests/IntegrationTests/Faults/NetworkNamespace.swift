import Foundation
import Synchronization

/// A network of its own for one daemon, with a cable to the broker and one to the database. A cable that is pulled
/// swallows what is sent, both ways: no RST, no ICMP, and addresses and routes stay as they are.
///
/// A cable is a veth pair between the namespace and a bridge of this machine; pulled is the bridge's port. The bridge has
/// the server's address, from the range that is kept for tests of networks (RFC 2544). Needs root's rights.
final class NetworkNamespace: Sendable {
    private let name: String
    /// Its two subnets of four addresses each.
    private let subnet: Int
    private let namespace: Int32
    private let guardian: Process
    private let life: FileHandle

    private static let count = Atomic<Int>(0)
    /// setns(2) of this thread into a network; the Glibc module leaves it out.
    private static func enter(_ namespace: Int32) -> Bool {
        typealias Call = @convention(c) (Int32, Int32) -> Int32
        guard namespace >= 0, let address = unsafe dlsym(nil, "setns") else { return false }
        let call = unsafe unsafeBitCast(address, to: Call.self)
        // CLONE_NEWNET
        return call(namespace, 0x4000_0000) == 0
    }

    /// Why this machine gives none; nil: it does.
    static let obstacle: String? = {
        do {
            _ = try NetworkNamespace()
            return nil
        } catch {
            return "\(error)"
        }
    }()

    init() throws {
        let number = Self.count.add(1, ordering: .relaxed).newValue
        let process = getpid()
        let name = "hw\(process)-\(number)"
        let subnet = (Int(process) * 8 + number * 2) % 32_768
        self.subnet = subnet
        self.name = name
        var ends: [Int32] = [-1, -1]
        // A pipe that no child of another test's can have a hand on.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw Stack.Failure(description: "no pair of sockets: errno \(errno)")
        }
        let input = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
        life = FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
        // It takes the network away when this process ends, however that ends.
        guardian = Process()
        guardian.executableURL = URL(filePath: "/bin/sh")
        guardian.arguments = ["-c", Self.removal, "guardian", name]
        guardian.standardInput = input
        guardian.standardError = FileHandle.nullDevice
        try guardian.run()
        do {
            let made = try Self.shell(
                Self.making, [name] + Link.all.flatMap { [Self.host($0, subnet), Self.inner($0, subnet)] })
            namespace = unsafe open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
            guard made.isEmpty, namespace >= 0 else { throw Stack.Failure(description: made) }
        } catch {
            Self.end(guardian, life)
            throw Stack.Failure(description: "no network namespace: \(error)")
        }
    }

    deinit {
        close(namespace)
        Self.end(guardian, life)
    }

    private typealias Link = Fault.Link

    /// This machine's, at the other end of that cable.
    func address(of link: Fault.Link) -> String { Self.host(link, subnet) }

    /// What a program is started with to run in it.
    var launcher: [String] { ["/usr/bin/nsenter", "--net=/run/netns/\(name)"] }

    func pull(_ link: Fault.Link) throws { try set(link, "down") }

    func plugIn(_ link: Fault.Link) throws { try set(link, "up") }

    private func set(_ link: Fault.Link, _ state: String) throws {
        let problem = try Self.shell("ip link set \"$1\" \(state)", ["\(name)c\(link.number)"])
        guard problem.isEmpty else { throw Stack.Failure(description: problem) }
    }

    /// What `body` opens on this thread is in this network.
    func inside<Result>(_ body: () -> Result) -> Result {
        let own = unsafe open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        defer { close(own) }
        guard own >= 0, Self.enter(namespace) else { fatalError("no way into \(name): errno \(errno)") }
        defer { if !Self.enter(own) { fatalError("no way out of \(name): errno \(errno)") } }
        return body()
    }

    // MARK: - iproute2

    private static func host(_ link: Fault.Link, _ subnet: Int) -> String { address(subnet + link.number, 1) }

    private static func inner(_ link: Fault.Link, _ subnet: Int) -> String { address(subnet + link.number, 2) }

    /// 198.18.0.0/15, by fours.
    private static func address(_ subnet: Int, _ host: Int) -> String {
        let place = (subnet * 4 + host) % 131_072
        return "198.\(18 + place / 65_536).\(place / 256 % 256).\(place % 256)"
    }

    private static let making = """
        set -e
        name=$1
        ip netns add "$name"
        ip -n "$name" link set lo up
        for number in 0 1; do
            bridge=${name}b$number port=${name}c$number host=$2 inner=$3
            shift 2
            ip link add "$bridge" address 02:00:00:00:00:01 type bridge
            ip link add "$port" type veth peer name "cable$number" address 02:00:00:00:00:02 netns "$name"
            ip link set "$port" master "$bridge" up
            ip address add "$host/30" dev "$bridge"
            ip link set "$bridge" up
            ip -n "$name" address add "$inner/30" dev "cable$number"
            ip -n "$name" link set "cable$number" up
            # Or whoever looks in vain for the other end would say so to the sender.
            ip neighbour add "$inner" lladdr 02:00:00:00:00:02 dev "$bridge" nud permanent
            ip -n "$name" neighbour add "$host" lladdr 02:00:00:00:00:01 dev "cable$number" nud permanent
        done
        """

    private static let removal = """
        trap '' INT TERM HUP
        PATH=/usr/sbin:/usr/bin:/sbin:/bin
        cat >/dev/null
        for link in c0 c1 b0 b1; do ip link delete "$1$link"; done
        ip netns delete "$1"
        """

    /// What it has to say.
    private static func shell(_ script: String, _ arguments: [String]) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n" + script, "network"] + arguments
        process.standardError = output
        try process.run()
        let words = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus != 0 else { return "" }
        let text = String(decoding: words, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? "ip ended with \(process.terminationStatus)" : text
    }

    private static func end(_ guardian: Process, _ life: FileHandle) {
        try? life.close()
        guardian.waitUntilExit()
    }
}

extension Fault.Link {
    fileprivate static let all: [Self] = [.broker, .database]

    fileprivate var number: Int { self == .broker ? 0 : 1 }
}
