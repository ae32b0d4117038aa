import HTTPTypes
import HummingbirdCore
import NIOCore
import Synchronization

/// How often may be tried to sign in from one address: a bucket of tokens each, of a bounded number of addresses. Any
/// thread.
final class SignInLimit: Sendable {
    /// A practice comes from one address: so many at once.
    static let burst = 20.0
    /// One more after so long.
    static let refill = Duration.seconds(3)
    /// More addresses than that are not remembered: whoever has been quiet the longest is forgotten.
    static let addresses = 4096

    private struct Bucket {
        var tokens: Double
        var at: ContinuousClock.Instant
    }

    private let buckets = Mutex<[String: Bucket]>([:])

    /// False when the address has had its share.
    func take(_ address: String, now: ContinuousClock.Instant = .now) -> Bool {
        buckets.withLock { buckets in
            var bucket = buckets[address] ?? Bucket(tokens: Self.burst, at: now)
            bucket.tokens = min(Self.burst, bucket.tokens + (now - bucket.at) / Self.refill)
            bucket.at = now
            let may = bucket.tokens >= 1
            if may { bucket.tokens -= 1 }
            if buckets[address] == nil, buckets.count >= Self.addresses,
                let quietest = buckets.min(by: { $0.value.at < $1.value.at })
            {
                buckets[quietest.key] = nil
            }
            buckets[address] = bucket
            return may
        }
    }

    /// Whoever signed in has used none.
    func giveBack(_ address: String) {
        buckets.withLock { buckets in
            guard let bucket = buckets[address] else { return }
            buckets[address]?.tokens = min(Self.burst, bucket.tokens + 1)
        }
    }

    var count: Int { buckets.withLock { $0.count } }
}

/// Where a request comes from, as far as it may be believed.
///
/// A connection from this machine itself is a proxy's before us: then the last address of `X-Forwarded-For`, which that
/// proxy must set or add to (nginx: `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for`). Without it all who come
/// through the proxy are one address, and share one bucket. From elsewhere the header is anybody's word and is not read.
enum SourceAddress {
    static let forwarded = HTTPField.Name(validated: "X-Forwarded-For")

    static func of(_ request: Request, _ channel: any Channel) -> String {
        of(peer: channel.remoteAddress?.ipAddress, forwarded: request.headers[values: forwarded].last)
    }

    static func of(peer: String?, forwarded: String?) -> String {
        let own = peer.flatMap(network) ?? "unknown"
        guard own.hasPrefix("127.") || own == loopback || own == "unknown",
            let last = forwarded?.split(separator: ",").last
        else { return own }
        return network(String(last.drop { $0 == " " })) ?? own
    }

    private static let loopback = "0:0:0:0::/64"

    /// An IPv4 address as it is; of an IPv6 one the network, which is one subscriber's. Nil for what is neither.
    static func network(_ text: String) -> String? {
        guard text.utf8.count <= 45 else { return nil }
        if let last = text.split(separator: ":").last, last.contains(".") {
            let parts = last.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
            guard parts.count == 4, !parts.contains(nil) else { return nil }
            return parts.compactMap { $0.map { "\($0)" } }.joined(separator: ".")
        }
        let halves = text.split(separator: "%").first?.split(
            separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
        guard let halves, text.contains(":") else { return nil }
        let groups = halves.map { half in half.split(separator: ":").map { UInt16($0, radix: 16) } }
        let there = groups.map(\.count).reduce(0, +)
        guard !groups.joined().contains(nil), groups.count == 2 ? there < 8 : there == 8, let first = groups.first
        else { return nil }
        let missing = Array(repeating: UInt16?.some(0), count: groups.count == 2 ? 8 - there : 0)
        let all = first + missing + (groups.count == 2 ? groups[1] : [])
        return all.prefix(4).map { String($0 ?? 0, radix: 16) }.joined(separator: ":") + "::/64"
    }
}
