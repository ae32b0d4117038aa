import Foundation
import Synchronization

/// A care manager's endpoint: keeps what is posted to it and answers 204, unless told to do otherwise.
final class WebhookCatcher: Sendable {
    struct Arrival: Sendable {
        var at: ContinuousClock.Instant
        /// The idempotency key.
        var delivery: String
        var body: String
        /// Of a heartbeat.
        var auditHead: String?
    }

    enum Manner: Sendable { case takes, refuses, losesAnswer }

    private let descriptor: Int32
    let port: UInt16
    private let host: String
    private let received = Mutex<[Arrival]>([])
    private let manner = Mutex(Manner.takes)

    /// - Parameter host: the address that it listens on.
    init(host: String = "127.0.0.1") throws {
        self.host = host
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = unsafe inet_addr(host)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let bound = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                guard unsafe bind(descriptor, generic, length) == 0, listen(descriptor, 16) == 0 else { return false }
                return unsafe getsockname(descriptor, generic, &length) == 0
            }
        }
        guard bound else { throw Stack.Failure(description: "no port for the webhook catcher") }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { return }
                guard let self else { return }
                let manner = self.manner.withLock { $0 }
                // Kept before it is answered: once the sender knows that it arrived, so does the test.
                Self.serve(connection, manner) { arrival in self.received.withLock { $0.append(arrival) } }
            }
        }
    }

    deinit { shutdown(descriptor, Int32(SHUT_RDWR)) }

    var url: String { "http://\(host):\(port)/hook" }
    var bodies: [String] { received.withLock { $0.map(\.body) } }
    /// What was taken, in the order of coming; a notification whose answer was lost was taken.
    var arrivals: [Arrival] { received.withLock { $0 } }

    func behave(_ manner: Manner) { self.manner.withLock { $0 = manner } }

    private static func serve(_ connection: Int32, _ manner: Manner, _ take: (Arrival) -> Void) {
        defer { close(connection) }
        var request: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            let text = String(decoding: request, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                let body = String(text[end.upperBound...])
                let length = text.lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
                    .flatMap { Int($0.split(separator: ":")[1].trimmingCharacters(in: .whitespaces)) }
                if body.utf8.count >= length ?? 0 {
                    let key = text.split(separator: "\r\n").first { $0.lowercased().hasPrefix("homeward-delivery:") }
                        .map { $0.drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespaces) }
                    let head = text.split(separator: "\r\n").first { $0.hasPrefix("Homeward-Audit-Head: ") }
                        .map { String($0.dropFirst("Homeward-Audit-Head: ".count)) }
                    if manner != .refuses {
                        take(Arrival(at: .now, delivery: key ?? "", body: body, auditHead: head))
                    }
                    guard manner != .losesAnswer else { return }
                    let status = manner == .refuses ? "503 Service Unavailable" : "204 No Content"
                    let answer = Array("HTTP/1.1 \(status)\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".utf8)
                    _ = unsafe send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
                    return
                }
            }
            let count = unsafe recv(connection, &part, part.count, 0)
            guard count > 0 else { return }
            request += part[..<count]
        }
    }
}
