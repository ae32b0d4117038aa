/// Why a file of the outage can't be written or used.
public struct OutageFault: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// The file system refuses to open, write, sync or rename.
        case unwritable
        /// The file system refuses to read.
        case unreadable
        /// The checksum is wrong or the content can't be understood.
        case damaged
        /// Written by another version of Homeward.
        case otherFormat = "other-format"
    }

    public var code: Code
    /// The file's name and the system's word for its error; nothing of what is in it.
    public var message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "outage file \(code.rawValue): \(message)" }
}
