public import Foundation

/// CPU seconds that a process has used so far; 0 once it is gone.
///
/// - Parameter withEndedChildren: those of its children that have ended count as its own.
public func cpuSeconds(of process: pid_t, withEndedChildren: Bool = false) -> Double {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
        let rest = text.split(separator: ")").last
    else { return 0 }
    // utime, stime, cutime, cstime are fields 14 to 17; `rest` begins with field 3.
    let values = rest.split(separator: " ").map { Double($0) ?? 0 }
    let ticks = (14...(withEndedChildren ? 17 : 15)).reduce(0) { sum, field in
        sum + (values.indices.contains(field - 3) ? values[field - 3] : 0)
    }
    return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
}
