import NIOCore
import Synchronization

/// How many connections each address holds open: no stranger takes them all. Any thread may ask.
final class ConnectionShare: Sendable {
    /// Of one address.
    let most: Int
    /// From this machine there come its own programs, and a proxy with everybody behind it.
    let sparesLoopback: Bool
    private let open = Mutex<[String: Int]>([:])

    init(most: Int, sparesLoopback: Bool = true) {
        self.most = most
        self.sparesLoopback = sparesLoopback
    }

    /// False: it has its share, and gets no further one.
    func take(_ address: String) -> Bool {
        if sparesLoopback, Self.isLoopback(address) { return true }
        return open.withLock { open in
            let count = open[address] ?? 0
            guard count < most else { return false }
            open[address] = count + 1
            return true
        }
    }

    /// Of one that was taken.
    func giveBack(_ address: String) {
        open.withLock { open in
            guard let count = open[address] else { return }
            open[address] = count > 1 ? count - 1 : nil
        }
    }

    private static func isLoopback(_ address: String) -> Bool {
        address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.")
    }
}

/// Closes a connection that is one too many, before anything of it is read.
final class ConnectionShareHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private let share: ConnectionShare
    private var address: String?

    init(_ share: ConnectionShare) { self.share = share }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    private func begin(_ context: ChannelHandlerContext) {
        guard address == nil, let found = context.channel.remoteAddress?.ipAddress else { return }
        guard share.take(found) else { return context.close(promise: nil) }
        address = found
    }

    private func end() {
        if let address { share.giveBack(address) }
        address = nil
    }
}
