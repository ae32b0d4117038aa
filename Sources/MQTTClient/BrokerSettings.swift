/// Where the broker is and who we are to it. Plain values; the daemon fills them from its configuration.
public struct BrokerSettings: Sendable, CustomStringConvertible, CustomReflectable {
    public enum ProtocolVersion: Sendable, Hashable {
        case mqtt5
        /// For brokers that speak no 5: no receive maximum, no session expiry, fewer reason codes, and a refused
        /// publication looks like an accepted one.
        case mqtt311
    }

    /// PEM files. They are read again at each connect, so that a renewed certificate needs no restart.
    public struct TLSFiles: Sendable, Hashable {
        /// Nil: the system's certificate authorities.
        public var authority: String?
        /// Both or neither.
        public var certificate: String?
        public var key: String?

        public init(authority: String? = nil, certificate: String? = nil, key: String? = nil) {
            self.authority = authority
            self.certificate = certificate
            self.key = key
        }
    }

    public var host: String
    public var port: UInt16
    public var version = ProtocolVersion.mqtt5
    /// Fixed: the broker keeps our queue under it.
    public var clientID: String
    public var username: String?
    public var password: String?
    public var tls: TLSFiles?
    /// Longer than the longest hold, or a hold would cost the connection. At least 5 s.
    public var keepalive = Duration.seconds(20)
    /// How many publications the broker may send ahead of our acknowledgements; its own default is 20.
    public var receiveMaximum: UInt16 = 2000
    /// How long the broker keeps the session and its queue while we are away. 0 in MQTT 5 means: not at all.
    public var sessionExpiry = Duration.seconds(7 * 24 * 3600)
    /// A connection attempt that has no CONNACK after this is given up.
    public var connectTimeout = Duration.seconds(10)
    public var backoff = Backoff.Bounds()

    public init(host: String, port: UInt16, clientID: String) {
        self.host = host
        self.port = port
        self.clientID = clientID
    }

    /// Without the password, so that a careless log line gives nothing away.
    public var description: String {
        "\(clientID)@\(host):\(port) \(version)\(tls == nil ? "" : " tls")"
    }

    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}
