/// Why a spool can't be opened, for the operator: names the file and says what to do about it.
public struct SpoolUnavailable: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Class: String, Sendable {
        /// A file or directory can't be made, read or written.
        case file
        /// Others than the daemon's user could read or write it.
        case permissions
        /// Another daemon has it open.
        case locked
        /// The key file is not 32 bytes or 64 hexadecimal digits.
        case key
        /// Reports in it are encrypted with another key, or with one and none was given.
        case wrongKey
        /// A newer version has written it.
        case version
    }

    public var kind: Class
    public var path: String
    public var message: String

    init(_ kind: Class, _ path: String, _ message: String) {
        self.kind = kind
        self.path = path
        self.message = message
    }

    init(_ failure: FileFailure) {
        self.init(.file, failure.path, "\(failure.call): \(word(forError: failure.number))")
    }

    public var description: String { "\(path): \(message)" }
}
