import Alerting
import Clinical
import Formats

/// What an alert's explanation says it was judged from.
enum AlertInputs {
    /// Of the finding that raised it and of the last one that said something of it; empty where neither names a kind.
    static func kinds(of file: AlertFile) -> Set<Kind> {
        var found: Set<Kind> = []
        for event in [file.events.first, file.events.last { $0.report != nil }].compactMap({ $0 }) {
            let bytes = Array(event.explanation.utf8)
            guard let value = try? JSONReader.value(bytes.span, maximumDepth: 16) else { continue }
            collect(value, &found)
        }
        return found
    }

    private static func collect(_ value: JSONValue, _ found: inout Set<Kind>) {
        switch value {
        case .array(let values): for value in values { collect(value, &found) }
        case .object(let members):
            for (name, value) in members {
                switch (name, value) {
                case ("kind", .string(let code)):
                    if let kind = Kind(code: code) { found.insert(kind) }
                case ("kinds", .array(let codes)):
                    found.formUnion(codes.compactMap(\.string).compactMap { Kind(code: $0) })
                // Of a score: the parameters by name, whether they scored or not.
                case ("values", .object(let parameters)):
                    found.formUnion(parameters.compactMap { NEWS2Parameter(rawValue: $0.0)?.kind })
                default: collect(value, &found)
                }
            }
        default: break
        }
    }
}
