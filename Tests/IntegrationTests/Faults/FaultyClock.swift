import Foundation

/// The daemon's wall clock, through libfaketime (Debian package faketime); its monotonic clock stays true.
struct FaultyClock {
    private static let candidates = ["x86_64", "aarch64"].map {
        "/usr/lib/\($0)-linux-gnu/faketime/libfaketimeMT.so.1"
    }

    /// The library sets a variable when it is first loaded, which moves the environment away from beside the
    /// arguments, and Swift's runtime then finds no arguments. So a shell takes the first load and becomes the daemon.
    static let launcher = ["/bin/sh", "-c", #"exec "$0" "$@""#]

    private let file: URL
    /// For the daemon, from its start.
    let environment: [String: String]

    /// Nil where the library is not installed.
    init?(in directory: URL) throws {
        guard let library = Self.candidates.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
            return nil
        }
        file = directory.appending(path: "clock-\(UUID().uuidString)")
        environment = [
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": file.path, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        ]
        try step(by: 0)
    }

    /// From the true time; replaced as a whole, so that nobody reads half a number.
    func step(by seconds: Int) throws {
        try "\(seconds < 0 ? "" : "+")\(seconds)\n".write(to: file, atomically: true, encoding: .utf8)
    }

    /// Also what the library shared under the numbers of these processes.
    func remove(after processes: [pid_t]) {
        let shared = processes.flatMap { ["/dev/shm/faketime_shm_\($0)", "/dev/shm/sem.faketime_sem_\($0)"] }
        for path in [file.path] + shared { try? FileManager.default.removeItem(atPath: path) }
    }
}
