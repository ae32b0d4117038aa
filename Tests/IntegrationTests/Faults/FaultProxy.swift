import Foundation
import Synchronization

/// A TCP proxy on loopback that can do to a connection what networks do: reset it, stall it, leave it half open, slow
/// it down. One thread serves all its connections; any thread may set its mode.
final class FaultProxy: Sendable {
    enum Mode: Sendable, Equatable {
        case forwarding
        /// A black hole: connections stay open, new ones are taken by the kernel, nothing passes. It passes again later.
        case stalled
        case slow(milliseconds: Int)
    }

    private struct Control {
        var mode = Mode.forwarding
        var resets = false
        var halfOpens = false
        var mends = false
        var stops = false
        var loss: Loss?
        var answersLost = 0
    }

    /// The answer to one request is to be lost.
    struct Loss: Sendable {
        /// Only on a connection on which this was sent before.
        var after: [UInt8]
        var request: [UInt8]
    }

    let port: UInt16
    private let listener: Int32
    private let target: UInt16
    private let control = Mutex(Control())

    init(to target: UInt16) throws {
        self.target = target
        (listener, port) = try Loopback.listen()
        let server = ProxyServer(listener: listener, target: target)
        Thread.detachNewThread { [weak self] in
            while let control = self?.takeControl(), !control.stops {
                if server.turn(control.mode, control.orders) { self?.noteLoss() }
            }
            server.end()
        }
    }

    /// The thread ends by itself once nobody holds the proxy.
    private func takeControl() -> (mode: Mode, orders: ProxyServer.Orders, stops: Bool) {
        control.withLock { control in
            let orders = ProxyServer.Orders(
                resets: control.resets, halfOpens: control.halfOpens, mends: control.mends, loss: control.loss)
            control.resets = false
            control.halfOpens = false
            control.mends = false
            return (control.mode, orders, control.stops)
        }
    }

    func set(_ mode: Mode) { control.withLock { $0.mode = mode } }

    /// RST on both sides of every connection; new ones pass.
    func reset() { control.withLock { $0.resets = true } }

    /// The far side of every connection is gone and the near side hears nothing of it, until `mend`. New ones pass.
    func halfOpen() { control.withLock { $0.halfOpens = true } }

    /// The near side of what is half open hears at last: RST.
    func mend() { control.withLock { $0.mends = true } }

    /// The next answer to a request that holds `request`, on a connection that has sent `after` before, is thrown away
    /// and the connection reset: the far side has done what it was asked, and the near side never hears of it.
    func loseAnswer(to request: String, after: String) {
        control.withLock { $0.loss = Loss(after: Array(after.utf8), request: Array(request.utf8)) }
    }

    /// How many were.
    var answersLost: Int { control.withLock { $0.answersLost } }

    private func noteLoss() {
        control.withLock { control in
            control.loss = nil
            control.answersLost += 1
        }
    }

    func stop() { control.withLock { $0.stops = true } }
}

/// The proxy's thread's own.
private final class ProxyServer: @unchecked Sendable {
    // @unchecked: made by one thread and then used by the proxy's thread alone.
    struct Orders {
        var resets = false, halfOpens = false, mends = false
        var loss: FaultProxy.Loss?
    }

    private struct Chunk {
        var due: ContinuousClock.Instant
        var bytes: ArraySlice<UInt8>
    }

    private struct Direction {
        var chunks: [Chunk] = []
        var ended = false
        var isShut = false
        var waiting: Int { chunks.reduce(0) { $0 + $1.bytes.count } }
    }

    private final class Flow {
        let near: Int32
        /// -1 when half open.
        var far: Int32
        var toFar = Direction()
        var toNear = Direction()
        var isBroken = false
        /// It has sent what comes before the request whose answer is to be lost; and that request.
        var isMarked = false
        var losesAnswer = false

        init(near: Int32, far: Int32) {
            self.near = near
            self.far = far
        }
    }

    private let listener: Int32
    private let target: UInt16
    private var flows: [Flow] = []

    init(listener: Int32, target: UInt16) {
        self.listener = listener
        self.target = target
    }

    /// True when an answer was lost.
    func turn(_ mode: FaultProxy.Mode, _ orders: Orders) -> Bool {
        if orders.resets { flows.forEach { $0.isBroken = true } }
        if orders.halfOpens {
            for flow in flows where flow.far >= 0 {
                Loopback.reset(flow.far)
                flow.far = -1
            }
        }
        if orders.mends { for flow in flows where flow.far < 0 { flow.isBroken = true } }
        removeBroken()
        guard mode != .stalled else {
            usleep(5_000)
            return false
        }
        wait()
        accept()
        var latency = Duration.zero
        if case .slow(let milliseconds) = mode { latency = .milliseconds(milliseconds) }
        let now = ContinuousClock.now
        var hasLost = false
        for flow in flows where flow.far >= 0 {
            read(flow.near, into: &flow.toFar, due: now + latency, breaking: flow)
            if let loss = orders.loss, !hasLost, lose(loss, on: flow) {
                hasLost = true
                continue
            }
            read(flow.far, into: &flow.toNear, due: now + latency, breaking: flow)
            write(&flow.toFar, to: flow.far, now: now, breaking: flow)
            write(&flow.toNear, to: flow.near, now: now, breaking: flow)
        }
        removeBroken()
        flows.removeAll { flow in
            guard flow.toFar.isShut, flow.toNear.isShut else { return false }
            close(flow.near)
            close(flow.far)
            return true
        }
        return hasLost
    }

    /// True once the answer was there and is gone.
    private func lose(_ loss: FaultProxy.Loss, on flow: Flow) -> Bool {
        if flow.losesAnswer {
            read(flow.far, into: &flow.toNear, due: .now, breaking: flow)
            write(&flow.toFar, to: flow.far, now: .now, breaking: flow)
            flow.isBroken = flow.isBroken || !flow.toNear.chunks.isEmpty
            return flow.isBroken
        }
        for chunk in flow.toFar.chunks {
            if flow.isMarked, chunk.bytes.contains(loss.request) {
                flow.losesAnswer = true
            } else if chunk.bytes.contains(loss.after) {
                flow.isMarked = true
            }
        }
        return false
    }

    func end() {
        for flow in flows { flow.isBroken = true }
        removeBroken()
        close(listener)
    }

    private func removeBroken() {
        flows.removeAll { flow in
            guard flow.isBroken else { return false }
            Loopback.reset(flow.near)
            if flow.far >= 0 { Loopback.reset(flow.far) }
            return true
        }
    }

    private func wait() {
        var watched = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        var milliseconds: Int32 = 20
        for flow in flows where flow.far >= 0 {
            if !flow.toFar.ended { watched.append(pollfd(fd: flow.near, events: Int16(POLLIN), revents: 0)) }
            if !flow.toNear.ended { watched.append(pollfd(fd: flow.far, events: Int16(POLLIN), revents: 0)) }
            if !flow.toFar.chunks.isEmpty || !flow.toNear.chunks.isEmpty { milliseconds = 1 }
        }
        _ = unsafe poll(&watched, nfds_t(watched.count), milliseconds)
    }

    private func accept() {
        while true {
            let near = Glibc.accept(listener, nil, nil)
            guard near >= 0 else { return }
            Loopback.prepare(near)
            guard let far = Loopback.connect(to: target) else {
                Loopback.reset(near)
                continue
            }
            flows.append(Flow(near: near, far: far))
        }
    }

    private func read(
        _ descriptor: Int32, into direction: inout Direction, due: ContinuousClock.Instant, breaking flow: Flow
    ) {
        guard !direction.ended, !flow.isBroken, direction.waiting < 1 << 20 else { return }
        var part = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe recv(descriptor, &part, part.count, Int32(MSG_DONTWAIT))
        if count > 0 {
            direction.chunks.append(Chunk(due: due, bytes: part[..<count]))
        } else if count == 0 {
            direction.ended = true
        } else if errno != EAGAIN && errno != EINTR {
            flow.isBroken = true
        }
    }

    private func write(
        _ direction: inout Direction, to descriptor: Int32, now: ContinuousClock.Instant, breaking flow: Flow
    ) {
        while let chunk = direction.chunks.first, chunk.due <= now, !flow.isBroken {
            let bytes = Array(chunk.bytes)
            let count = unsafe send(
                descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            if count == bytes.count {
                direction.chunks.removeFirst()
            } else if count >= 0 {
                direction.chunks[0].bytes = chunk.bytes.dropFirst(count)
            } else {
                // ENOTCONN and EAGAIN: the connection is still being made.
                if errno != EAGAIN && errno != EINTR && errno != ENOTCONN { flow.isBroken = true }
                return
            }
        }
        if direction.ended, direction.chunks.isEmpty, !direction.isShut {
            shutdown(descriptor, Int32(SHUT_WR))
            direction.isShut = true
        }
    }
}

/// Sockets on 127.0.0.1.
enum Loopback {
    static func listen() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = address(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                guard unsafe bind(descriptor, generic, length) == 0, Glibc.listen(descriptor, 64) == 0 else {
                    return false
                }
                return unsafe getsockname(descriptor, generic, &length) == 0
            }
        }
        guard bound else { throw Stack.Failure(description: "no port: errno \(errno)") }
        prepare(descriptor)
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// Begun, not awaited; nil when it was refused at once.
    static func connect(to port: UInt16) -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        prepare(descriptor)
        var address = address(port: port)
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 || errno == EINPROGRESS else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    static func prepare(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var on: Int32 = 1
        unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Closes with RST, as a crashed machine or a firewall answers.
    static func reset(_ descriptor: Int32) {
        var none = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &none, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }

    private static func address(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }
}
