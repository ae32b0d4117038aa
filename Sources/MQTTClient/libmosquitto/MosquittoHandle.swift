internal import CMosquitto
internal import Glibc

/// libmosquitto's process-wide start; done once, at the first handle, and never undone.
private let libraryStart: Int32 = mosquitto_lib_init()

/// The one owner of a `struct mosquitto *`, for one connection: made before CONNECT, destroyed when the connection
/// ends in whatever way. So a queued PUBACK can't outlive its connection, and TLS files are read anew each time
/// (libmosquitto adds a changed CA to its old context rather than replace it).
///
/// Outgoing packets are only queued, whoever queues them, until `write` is called: libmosquitto is told that it runs
/// in a thread of ours (`mosquitto_threaded_set`), and that is what lets an acknowledgement wait. All calls on one
/// thread at a time; the callbacks run inside `read` and `write`.
@safe struct MosquittoHandle: ~Copyable {
    private let pointer: OpaquePointer
    private let callbacks: MosquittoCallbacks
    /// The same object, retained for C until the handle is destroyed.
    private let context: Unmanaged<MosquittoCallbacks>

    init(clientID: String, cleanStart: Bool, callbacks: MosquittoCallbacks) throws(MQTTError) {
        guard libraryStart == MOSQ_ERR_SUCCESS.rawValue else { throw MQTTError(.library, libraryCode: libraryStart) }
        // libmosquitto refuses these as well, but its clean-up then closes descriptor 0, whoever's it is (2.0.11).
        let length = Int32(clamping: clientID.utf8.count)
        guard length > 0, unsafe mosquitto_validate_utf8(clientID, length) == MOSQ_ERR_SUCCESS.rawValue else {
            throw MQTTError(.invalidArgument)
        }
        let retained = unsafe Unmanaged.passRetained(callbacks)
        guard let made = unsafe mosquitto_new(clientID, cleanStart, retained.toOpaque()) else {
            let code = errno
            unsafe retained.release()
            throw MQTTError(code == ENOMEM ? .outOfMemory : .invalidArgument, systemCode: code)
        }
        unsafe pointer = made
        unsafe context = retained
        self.callbacks = callbacks
        unsafe Self.register(on: made)
    }

    deinit {
        // Closes the socket without DISCONNECT and frees the queued packets unsent.
        unsafe mosquitto_destroy(pointer)
        unsafe context.release()
    }

    // MARK: Before connecting

    func configure(
        _ settings: BrokerSettings, will: Will?, publishWindow: Int32, addresses: AddressFamily
    ) throws(MQTTError) {
        try check(unsafe mosquitto_threaded_set(pointer, true))
        let version = settings.version == .mqtt5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311
        try check(unsafe mosquitto_int_option(pointer, MOSQ_OPT_PROTOCOL_VERSION, version))
        try check(unsafe mosquitto_int_option(pointer, MOSQ_OPT_RECEIVE_MAXIMUM, Int32(settings.receiveMaximum)))
        try check(unsafe mosquitto_int_option(pointer, MOSQ_OPT_SEND_MAXIMUM, publishWindow))
        try check(unsafe mosquitto_int_option(pointer, MOSQ_OPT_TCP_NODELAY, 1))
        if addresses == .ipv4 {
            // An address can only be bound on a socket of its own family: this leaves the others out.
            try check(unsafe mosquitto_string_option(pointer, MOSQ_OPT_BIND_ADDRESS, "0.0.0.0"))
        }
        if settings.username != nil || settings.password != nil {
            try check(unsafe mosquitto_username_pw_set(pointer, settings.username, settings.password))
        }
        if let tls = settings.tls {
            let directory = tls.authority == nil ? "/etc/ssl/certs" : nil
            try check(
                unsafe mosquitto_tls_set(pointer, tls.authority, directory, tls.certificate, tls.key, nil))
        }
        if let will {
            try check(
                unsafe will.payload.withUnsafeBytes { bytes in
                    unsafe mosquitto_will_set(
                        pointer, will.topic, Int32(clamping: bytes.count), bytes.baseAddress, 1, will.retained)
                })
        }
    }

    /// Looks the name up (this may block as long as the resolver does), begins to connect without waiting, and queues
    /// CONNECT.
    func connect(_ settings: BrokerSettings, sessionExpiry: Duration) throws(MQTTError) {
        let keepalive = Int32(settings.keepalive.wholeSeconds(in: 5...65_535))
        if settings.version == .mqtt5, sessionExpiry > .zero {
            try setSessionExpiry(UInt32(sessionExpiry.wholeSeconds(in: 1...0xFFFF_FFFF)), host: settings.host)
        }
        try check(
            unsafe mosquitto_connect_bind_async(pointer, settings.host, Int32(settings.port), keepalive, nil))
        // A process that we start must not inherit the connection.
        _ = fcntl(unsafe mosquitto_socket(pointer), F_SETFD, FD_CLOEXEC)
        noticeSilence()
    }

    /// A peer whose machine or network is gone is noticed within some 10 s, with something to send or without; MQTT's own
    /// keepalive takes twice its interval. Where the system refuses, that is all there is.
    private func noticeSilence() {
        let options: [(level: Int32, name: Int32, value: Int32)] = [
            (SOL_SOCKET, SO_KEEPALIVE, 1), (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 5),
            (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 2), (Int32(IPPROTO_TCP), TCP_KEEPCNT, 3),
            // Milliseconds.
            (Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, 10_000),
        ]
        for option in options {
            var value = option.value
            unsafe setsockopt(
                mosquitto_socket(pointer), option.level, option.name, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// Only libmosquitto's blocking connect takes CONNECT's properties, but it keeps them for later ones before it
    /// looks at the port, so a port that it refuses sets them without connecting.
    private func setSessionExpiry(_ seconds: UInt32, host: String) throws(MQTTError) {
        var properties: OpaquePointer?
        defer { unsafe mosquitto_property_free_all(&properties) }
        try check(
            unsafe mosquitto_property_add_int32(
                &properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL.rawValue.asInt32, seconds))
        let code = unsafe mosquitto_connect_bind_v5(pointer, host, -1, 60, nil, properties)
        guard code == MOSQ_ERR_INVAL.rawValue else { throw MQTTError(.library, libraryCode: code) }
    }

    // MARK: Connected

    /// -1 when there is none.
    var descriptor: Int32 { unsafe mosquitto_socket(pointer) }

    /// True while packets wait for `write`.
    var wantsWrite: Bool { unsafe mosquitto_want_write(pointer) }

    /// Reads one packet, if a whole one is there; under TLS all those of one record. False when nothing more waits,
    /// neither in the socket nor inside OpenSSL, where `poll` can't see it.
    func read() throws(MQTTError) -> Bool {
        let before = callbacks.calls
        errno = 0
        let code = unsafe mosquitto_loop_read(pointer, 1)
        let system = errno
        try check(code, system: system)
        guard descriptor >= 0 else { throw closed() }
        // errno is only telling when no callback ran: queueing a packet may set it too.
        return callbacks.calls != before || system != EAGAIN
    }

    /// Writes what is queued. False when the socket takes no more for now.
    ///
    /// libmosquitto makes one call to `send` a packet, and without Nagle's delay each would travel alone: for a batch
    /// the socket is corked meanwhile, so that its acknowledgements leave in a few segments. Not for a DISCONNECT: the
    /// socket is closed right after it, and what the cork holds back then may never leave.
    func write(isBatch: Bool = false) throws(MQTTError) -> Bool {
        if isBatch { cork(true) }
        errno = 0
        let code = unsafe mosquitto_loop_write(pointer, 1)
        let system = errno
        if isBatch { cork(false) }
        try check(code, system: system)
        guard descriptor >= 0 else { throw closed() }
        return !wantsWrite
    }

    /// Best effort: without it packets leave one by one.
    private func cork(_ isOn: Bool) {
        var value: Int32 = isOn ? 1 : 0
        _ = unsafe setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Queues a PINGREQ when one is due; throws when the last one was not answered. Once a second or so.
    func keepAlive() throws(MQTTError) {
        try check(unsafe mosquitto_loop_misc(pointer))
    }

    /// Queues SUBSCRIBE at QoS 1. Retained messages come only for a subscription that the broker did not have (3.1.1
    /// brokers send them each time).
    func subscribe(_ filter: String) throws(MQTTError) {
        let options = MQTT_SUB_OPT_SEND_RETAIN_NEW.rawValue.asInt32
        try check(unsafe mosquitto_subscribe_v5(pointer, nil, filter, 1, options, nil))
    }

    /// Queues one PUBLISH at QoS 1, copying the payload. Returns its packet identifier.
    func publish(topic: String, payload: Span<UInt8>, retained: Bool) throws(MQTTError) -> Int32 {
        guard let length = Int32(exactly: payload.count) else { throw MQTTError(.payloadTooLarge) }
        var packet: Int32 = 0
        let code = unsafe payload.withUnsafeBufferPointer { bytes in
            unsafe mosquitto_publish(pointer, &packet, topic, length, bytes.baseAddress, 1, retained)
        }
        try check(code)
        return packet
    }

    /// Queues DISCONNECT; `write` then sends it and closes.
    func disconnect() throws(MQTTError) {
        try check(unsafe mosquitto_disconnect(pointer))
    }

    // MARK: Errors

    private func closed() -> MQTTError {
        let code = callbacks.disconnectCode ?? 0
        return MQTTError(.connectionLost, brokerCode: code >= 0x80 ? ReasonCode(code) : nil)
    }

    /// The one place where a return code becomes an error; errno is read before anything else can change it.
    private func check(_ code: Int32, system: Int32 = Glibc.errno) throws(MQTTError) {
        guard code != MOSQ_ERR_SUCCESS.rawValue else { return }
        let refusal = callbacks.connectAnswer.flatMap { $0.code == .success ? nil : $0.code }
        // libmosquitto calls a refused CONNECT of MQTT 5 a violation of the protocol.
        throw MQTTError(
            refusal == nil ? MQTTError.Reason(library: code) : .connectionRefused, libraryCode: code,
            systemCode: Self.keepsErrno(code) ? system : 0, brokerCode: refusal)
    }

    private static func keepsErrno(_ code: Int32) -> Bool {
        code == MOSQ_ERR_ERRNO.rawValue || code == MOSQ_ERR_EAI.rawValue || code == MOSQ_ERR_CONN_LOST.rawValue
    }

    // MARK: Callbacks

    private static func register(on pointer: OpaquePointer) {
        unsafe mosquitto_connect_v5_callback_set(pointer) { _, context, code, flags, _ in
            guard let callbacks = unsafe MosquittoCallbacks.of(context) else { return }
            callbacks.note()
            callbacks.connectAnswer = .init(code: ReasonCode(code), sessionPresent: flags & 1 == 1)
        }
        unsafe mosquitto_disconnect_v5_callback_set(pointer) { _, context, code, _ in
            guard let callbacks = unsafe MosquittoCallbacks.of(context) else { return }
            callbacks.note()
            callbacks.disconnectCode = code
        }
        unsafe mosquitto_subscribe_v5_callback_set(pointer) { _, context, _, count, codes, _ in
            guard let callbacks = unsafe MosquittoCallbacks.of(context) else { return }
            callbacks.note()
            // Each SUBSCRIBE of ours has one filter. A SUBACK without codes is possible (CVE-2024-10525).
            let code = unsafe count > 0 ? codes?.pointee : nil
            callbacks.granted.append(code.map { ReasonCode($0) } ?? .unspecified)
        }
        unsafe mosquitto_publish_v5_callback_set(pointer) { _, context, packet, code, _ in
            guard let callbacks = unsafe MosquittoCallbacks.of(context) else { return }
            callbacks.note()
            callbacks.acknowledged.append((packet, ReasonCode(code)))
        }
        unsafe mosquitto_message_callback_set(pointer) { _, context, message in
            guard let callbacks = unsafe MosquittoCallbacks.of(context), let message = unsafe message?.pointee,
                let topic = unsafe message.topic
            else { return }
            callbacks.note()
            let length = unsafe strlen(topic)
            unsafe topic.withMemoryRebound(to: UInt8.self, capacity: length) { topic in
                let topic = unsafe UnsafeBufferPointer(start: topic, count: length)
                let bytes = unsafe UnsafeRawBufferPointer(start: message.payload, count: Int(message.payloadlen))
                unsafe bytes.withMemoryRebound(to: UInt8.self) { payload in
                    unsafe callbacks.received(topic: topic.span, payload: payload.span, retained: message.retain)
                }
            }
        }
    }
}

extension MosquittoCallbacks {
    /// The object behind C's `void *`: alive, since the handle that calls back retains it.
    fileprivate static func of(_ context: UnsafeMutableRawPointer?) -> MosquittoCallbacks? {
        guard let context = unsafe context else { return nil }
        return unsafe Unmanaged<MosquittoCallbacks>.fromOpaque(context).takeUnretainedValue()
    }
}

extension MQTTError.Reason {
    fileprivate init(library code: Int32) {
        switch code {
        case MOSQ_ERR_NOMEM.rawValue: self = .outOfMemory
        case MOSQ_ERR_PROTOCOL.rawValue, MOSQ_ERR_MALFORMED_PACKET.rawValue, MOSQ_ERR_DUPLICATE_PROPERTY.rawValue:
            self = .protocolViolation
        case MOSQ_ERR_INVAL.rawValue, MOSQ_ERR_MALFORMED_UTF8.rawValue: self = .invalidArgument
        case MOSQ_ERR_NO_CONN.rawValue: self = .notConnected
        case MOSQ_ERR_CONN_REFUSED.rawValue: self = .connectionRefused
        case MOSQ_ERR_CONN_LOST.rawValue: self = .connectionLost
        case MOSQ_ERR_TLS.rawValue, MOSQ_ERR_TLS_HANDSHAKE.rawValue: self = .tls
        case MOSQ_ERR_PAYLOAD_SIZE.rawValue, MOSQ_ERR_OVERSIZE_PACKET.rawValue: self = .payloadTooLarge
        case MOSQ_ERR_NOT_SUPPORTED.rawValue, MOSQ_ERR_QOS_NOT_SUPPORTED.rawValue: self = .notSupported
        case MOSQ_ERR_KEEPALIVE.rawValue: self = .keepaliveExpired
        case MOSQ_ERR_EAI.rawValue, MOSQ_ERR_LOOKUP.rawValue: self = .addressLookup
        case MOSQ_ERR_ERRNO.rawValue: self = .system
        default: self = .library
        }
    }
}

extension FixedWidthInteger {
    /// C's anonymous and named enums come in as different integer types.
    fileprivate var asInt32: Int32 { Int32(clamping: self) }
}
