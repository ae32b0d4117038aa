import Foundation

/// A fault that a test asks for through the environment. Debug builds only: a release build has none.
enum Failpoint {
    #if DEBUG
        /// `HOMEWARD_FAILPOINT=crash:TEXT`: a payload that holds TEXT kills the process as a trapped overflow would.
        private static let crashText: [UInt8]? = {
            guard let asked = ProcessInfo.processInfo.environment["HOMEWARD_FAILPOINT"], asked.hasPrefix("crash:")
            else { return nil }
            return Array(asked.dropFirst("crash:".count).utf8)
        }()
    #endif

    static func crashIfAsked(by payload: Span<UInt8>) {
        #if DEBUG
            guard let text = crashText, !text.isEmpty, payload.count >= text.count else { return }
            for start in 0...(payload.count - text.count)
            where text.indices.allSatisfy({ payload[start + $0] == text[$0] }) {
                fatalError("failpoint")
            }
        #endif
    }
}
