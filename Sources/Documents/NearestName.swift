/// The known name that a person most likely meant.
enum NearestName {
    /// The candidate with the fewest edits to `name`; the first of equals. Nil when there is no candidate.
    static func nearest(to name: String, among candidates: [String]) -> String? {
        let name = Array(name.lowercased().unicodeScalars.prefix(128))
        return candidates.min { distance(name, $0) < distance(name, $1) }
    }

    /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
    private static func distance(_ left: [Unicode.Scalar], _ candidate: String) -> Int {
        let right = Array(candidate.lowercased().unicodeScalars)
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, leftScalar) in left.enumerated() {
            var current = [row + 1]
            current.reserveCapacity(right.count + 1)
            for (column, rightScalar) in right.enumerated() {
                let replaced = last[column] + (leftScalar == rightScalar ? 0 : 1)
                var best = min(replaced, last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, leftScalar == right[column - 1], left[row - 1] == rightScalar {
                    best = min(best, beforeLast[column - 1] + 1)
                }
                current.append(best)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
