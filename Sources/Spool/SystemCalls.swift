import Glibc

/// The calls that can fail under the spool, so that a test can make them. Each answers as the call does, with `-errno`
/// instead of -1.
struct SystemCalls: Sendable {
    /// Path and flags; what is made is for the daemon's user alone.
    var open: @Sendable (String, Int32) -> Int32
    /// Writes a span at an offset; may write less.
    var write: @Sendable (Int32, Span<UInt8>, Int) -> Int
    /// Reads at an offset into these places of the array, which are there; may read less, 0 at the file's end.
    var read: @Sendable (Int32, inout [UInt8], Range<Int>, Int) -> Int
    var synchroniseData: @Sendable (Int32) -> Int32
    /// Of a directory: what it names.
    var synchronise: @Sendable (Int32) -> Int32
    var truncate: @Sendable (Int32, Int) -> Int32
    var unlink: @Sendable (String) -> Int32
    /// The second is replaced.
    var rename: @Sendable (String, String) -> Int32

    static let linux = SystemCalls(
        open: { path, flags in
            retried { unsafe Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        },
        write: { descriptor, bytes, offset in
            retried { unsafe bytes.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress, $0.count, offset) } }
        },
        read: { descriptor, bytes, places, offset in
            unsafe bytes.withUnsafeMutableBytes { bytes in
                let target = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[places])
                return retried { unsafe pread(descriptor, target.baseAddress, target.count, offset) }
            }
        },
        synchroniseData: { descriptor in retried { fdatasync(descriptor) } },
        synchronise: { descriptor in retried { fsync(descriptor) } },
        truncate: { descriptor, length in retried { ftruncate(descriptor, length) } },
        unlink: { path in retried { unsafe Glibc.unlink(path) } },
        rename: { old, new in retried { unsafe Glibc.rename(old, new) } })

    /// Again while a signal got in between; `-errno` for every other failure.
    private static func retried<Answer: SignedInteger>(_ call: () -> Answer) -> Answer {
        while true {
            let answer = call()
            if answer >= 0 { return answer }
            if errno != EINTR { return Answer(-errno) }
        }
    }
}

/// The system's word for an error number.
func word(forError number: Int32) -> String { unsafe String(cString: strerror(number)) }

/// Why a file could not be written or read.
struct FileFailure: Error {
    var call: String
    var path: String
    var number: Int32

    /// Room may come back: the file system or the user's quota is full.
    var isNoRoom: Bool { number == ENOSPC || number == EDQUOT }
    var message: String { "\(call) \(path): \(word(forError: number))" }
}
