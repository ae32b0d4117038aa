import Glibc
import MQTTClient
import RingBuffer
import TestSupport

/// Says to every client, after its first bytes, what the test wrote down: for what Mosquitto never sends.
final class ScriptedBroker {
    struct NotListening: Error {}

    let port: UInt16
    private let listener: Int32
    private let thread: StageThread

    /// - Parameter answers: the first answer goes to the first bytes of a connection, and so on; then it is silent.
    init(answers: [[UInt8]]) throws {
        port = try PrivateBroker.freePort()
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        listener = descriptor
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe bind(descriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(descriptor, 16) == 0 else { throw NotListening() }
        thread = StageThread.start(name: "scripted") { Self.serve(descriptor, answers) }
    }

    deinit {
        // Wakes `accept`, which then fails.
        shutdown(listener, Int32(SHUT_RDWR))
        thread.join()
        close(listener)
    }

    var settings: BrokerSettings {
        var settings = BrokerSettings(host: "127.0.0.1", port: port, clientID: "homeward")
        settings.backoff.floor = .milliseconds(1)
        settings.backoff.ceiling = .milliseconds(10)
        settings.backoff.afterTakeover = .milliseconds(10)
        settings.connectTimeout = .milliseconds(500)
        return settings
    }

    private static func serve(_ listener: Int32, _ answers: [[UInt8]]) {
        var clients: [(descriptor: Int32, said: Int)] = []
        defer { for client in clients { close(client.descriptor) } }
        while true {
            var watched = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
            watched += clients.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            guard unsafe poll(&watched, nfds_t(watched.count), -1) > 0 else { continue }
            for index in clients.indices.reversed() where watched[index + 1].revents != 0 {
                var bytes = [UInt8](repeating: 0, count: 4096)
                guard unsafe read(clients[index].descriptor, &bytes, bytes.count) > 0 else {
                    close(clients.remove(at: index).descriptor)
                    continue
                }
                if clients[index].said < answers.count {
                    let answer = answers[clients[index].said]
                    _ = unsafe write(clients[index].descriptor, answer, answer.count)
                    clients[index].said += 1
                }
            }
            if watched[0].revents != 0 {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                clients.append((client, 0))
            }
        }
    }
}
