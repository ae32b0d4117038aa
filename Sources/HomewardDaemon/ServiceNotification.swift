import CLinux
import Foundation
import Glibc

/// systemd's notification protocol (sd_notify(3)): one datagram to the socket that it names in the environment.
///
/// Twenty lines instead of libsystemd, which would be one more library in the daemon's address space.
struct ServiceNotification: Sendable {
    private let path: String?
    /// How often systemd wants to hear from us; nil without a watchdog.
    let watchdogInterval: Duration?

    init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        path = environment["NOTIFY_SOCKET"]
        let meant = environment["WATCHDOG_PID"].map { $0 == String(getpid()) } ?? true
        watchdogInterval =
            meant ? environment["WATCHDOG_USEC"].flatMap(Int64.init).map { .microseconds($0) } : nil
    }

    func ready() { send("READY=1") }
    func reloading() {
        send("RELOADING=1\nMONOTONIC_USEC=\(linux_monotonic_nanoseconds() / 1000)")
    }
    func stopping() { send("STOPPING=1") }
    func alive() { send("WATCHDOG=1") }
    /// One line for `systemctl status`.
    func status(_ line: String) { send("STATUS=\(line)") }

    /// Without a socket it does nothing; a failure is systemd's to notice.
    private func send(_ text: String) {
        guard let path, path.utf8.count > 1 else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard name.count < capacity else { return }
        // "@" stands for the NUL that begins an abstract name.
        if name[0] == UInt8(ascii: "@") { name[0] = 0 }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let message = Array(text.utf8)
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                _ = unsafe sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL), generic, length)
            }
        }
    }
}
