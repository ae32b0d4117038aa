import Foundation

/// One request at a time, without a library: what a probe or a scraper does.
enum LoopbackHTTP {
    /// - Parameter network: whose loopback is meant; nil: this machine's.
    static func get(
        port: UInt16, path: String, in network: NetworkNamespace? = nil
    ) -> (status: Int, body: String)? {
        func ask() -> (status: Int, head: String, body: String)? {
            request(port: port, "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        }
        let answer = if let network { network.inside(ask) } else { ask() }
        return answer.map { ($0.status, $0.body) }
    }

    /// A look of whoever has that cookie, or a form that they send.
    static func ask(
        port: UInt16, path: String, cookie: String, form: String? = nil
    ) -> (status: Int, head: String, body: String)? {
        var lines = ["\(form == nil ? "GET" : "POST") \(path) HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        lines += ["Cookie: homeward=\(cookie)", "Accept: text/html"]
        if let form {
            lines += ["Content-Type: application/x-www-form-urlencoded", "Content-Length: \(form.utf8.count)"]
        }
        return request(port: port, lines.joined(separator: "\r\n") + "\r\n\r\n" + (form ?? ""))
    }

    private static func request(port: UInt16, _ text: String) -> (status: Int, head: String, body: String)? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let connected = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { return nil }
        let request = Array(text.utf8)
        guard unsafe send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            return nil
        }
        var answer: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe recv(descriptor, &part, part.count, 0)
            guard count > 0 else { break }
            answer += part[..<count]
        }
        let whole = String(decoding: answer, as: UTF8.self)
        guard let end = whole.range(of: "\r\n\r\n"), let status = whole.split(separator: " ").dropFirst().first else {
            return nil
        }
        return (Int(status) ?? 0, String(whole[..<end.lowerBound]), String(whole[end.upperBound...]))
    }
}
