import Foundation

/// Files and directories that a configuration names, and the secrets in them.
struct ConfigurationFiles {
    /// A secret has no more bytes.
    static let maximumSecret = 64 << 10

    private let directory: URL
    let environment: [String: String]

    /// - Parameter path: the configuration file's.
    init(path: String, environment: [String: String]) {
        directory = URL(filePath: path).deletingLastPathComponent()
        self.environment = environment
    }

    /// A path as the operating system takes it: a relative one starts from the configuration file's directory.
    func resolve(_ path: String) -> String {
        path.hasPrefix("/") ? path : directory.appending(path: path).standardizedFileURL.path(percentEncoded: false)
    }

    /// A path that need not exist.
    var path: DocumentValue<String> { DocumentValue<String>.text.mapping(expected: "a path") { resolve($0) } }

    /// A file that is there and can be read.
    var file: DocumentValue<String> {
        DocumentValue { node, context in
            guard let path = path.read(node, context) else { return nil }
            switch Self.sort(of: path) {
            case .typeRegular, .typeSymbolicLink: break
            case .typeDirectory:
                context.report("\(path) is a directory", at: node)
                return nil
            default:
                context.report("there is no file \(path)", at: node)
                return nil
            }
            if FileManager.default.isReadableFile(atPath: path) { return path }
            context.report("\(path) can't be read", at: node)
            return nil
        }
    }

    /// A directory that is there.
    var existingDirectory: DocumentValue<String> {
        DocumentValue { node, context in
            guard let path = path.read(node, context) else { return nil }
            if Self.sort(of: path) == .typeDirectory { return path }
            context.report("there is no directory \(path)", at: node)
            return nil
        }
    }

    /// What a secret file holds, without the newline at its end: the file at that path, else the systemd credential of
    /// that name.
    var secret: DocumentValue<[UInt8]> {
        DocumentValue { node, context in
            guard let name = DocumentValue.text.read(node, context) else { return nil }
            let candidates = [resolve(name), credential(name)].compactMap(\.self)
            guard let path = candidates.first(where: { Self.sort(of: $0) != nil }) else {
                let credentials = candidates.count > 1 ? ", nor a credential of that name" : ""
                context.report("there is no file \(resolve(name))\(credentials)", at: node)
                return nil
            }
            guard let data = try? Data(contentsOf: URL(filePath: path)) else {
                context.report("\(path) can't be read", at: node)
                return nil
            }
            var bytes = [UInt8](data)
            if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
            if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
            if bytes.isEmpty || bytes.count > Self.maximumSecret {
                context.report(bytes.isEmpty ? "\(path) is empty" : "\(path) is too large for a secret", at: node)
                return nil
            }
            return bytes
        }
    }

    /// A secret that is text: UTF-8 of one line.
    var password: DocumentValue<String> {
        DocumentValue { node, context in
            guard let bytes = secret.read(node, context) else { return nil }
            let isLine = !bytes.contains { $0 == 0 || $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
            if isLine, let text = String(validating: bytes, as: UTF8.self) { return text }
            context.report("the password in it is not one line of UTF-8", at: node)
            return nil
        }
    }

    /// Where the spool is when the configuration does not say; nil when the environment does not either.
    var defaultSpool: String? {
        if let state = environment["STATE_DIRECTORY"]?.split(separator: ":").first { return String(state) }
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return "\(state)/homeward" }
        guard let home = environment["HOME"], home.hasPrefix("/") else { return nil }
        return "\(home)/.local/state/homeward"
    }

    /// Only a bare name: a credential is never reached by a path.
    private func credential(_ name: String) -> String? {
        guard let directory = environment["CREDENTIALS_DIRECTORY"], directory.hasPrefix("/") else { return nil }
        return name.contains("/") || name == ".." || name == "." ? nil : "\(directory)/\(name)"
    }

    /// What is at `path`, links followed; nil when nothing is.
    private static func sort(of path: String) -> FileAttributeType? {
        let target = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
        let attributes = try? FileManager.default.attributesOfItem(atPath: target)
        return attributes?[.type] as? FileAttributeType
    }
}
