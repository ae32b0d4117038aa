import Alerting
import Clinical

/// The readings of one kind over some days as an SVG, with the limits of each time as bands and alerts as marks.
///
/// Of many readings it draws a bounded number: of each column of pixels the lowest and the highest of each sort, so that
/// none that is beyond a limit, suspect, late, typed in or in error goes missing behind another.
struct Chart {
    /// The limits that held for a time; spans follow each other.
    struct Span {
        var from: Instant
        var until: Instant
        var plan: Plan
        /// The reports of that time say that there was oxygen.
        var onOxygen = false

        func limits(_ kind: Kind, _ side: Side) -> [BandLimit] {
            plan.limits(kind, side, onOxygen: onOxygen, at: from)
        }
    }

    struct Mark {
        var at: Instant
        var severity: Severity
        var words: String
    }

    let kind: Kind
    let readings: [ChartReading]
    /// At least one, oldest first.
    let spans: [Span]
    let marks: [Mark]
    let start: Instant
    let time: PageTime

    private static let width = 720.0
    private static let height = 200.0
    private static let left = 44.0
    private static let right = 12.0
    private static let top = 16.0
    private static let bottom = 24.0

    private struct Scale {
        var low: Double
        var high: Double
        var step: Double
    }

    var part: HTML {
        let scale = scale
        return element("figure", .class("chart")) {
            element("figcaption") {
                element("strong") { kind.name }
                if let unit = kind.canonicalUnit?.words, !unit.isEmpty { " \(unit)" }
                if let last = readings.last(where: { $0.correction == nil }) {
                    element("span", .class("latest")) {
                        "last \(Signs.number(last.value, kind)), \(time.short(last.takenAt))"
                    }
                }
            }
            element(
                "svg", .svg(.viewBox, "0 0 \(Int(Self.width)) \(Int(Self.height))"), .role("img"),
                .aria(.label, description)
            ) {
                bands(scale)
                axis(scale)
                days
                alerts
                let drawn = drawn
                line(drawn, scale)
                for reading in drawn { point(reading, scale) }
            }
        }
    }

    private var description: String {
        let told = readings.filter { $0.correction == nil }
        guard let low = told.map(\.value).min(), let high = told.map(\.value).max() else {
            return "\(kind.name): no readings"
        }
        return "\(kind.name): \(told.count) readings from \(Signs.number(low, kind)) to \(Signs.number(high, kind)), "
            + "\(marks.count) alerts. The readings stand in the table below."
    }

    // MARK: Scale

    private typealias Edge = (severity: Severity, side: Side, limit: Limit)

    private func limits(of span: Span) -> [Edge] {
        Side.allCases.flatMap { side in
            span.limits(kind, side).map { ($0.threshold.severity, side, $0.threshold.limit) }
        }
    }

    /// All readings, and the limits next to them.
    private var scale: Scale {
        let values = readings.map(\.value)
        var low = values.min() ?? 0
        var high = values.max() ?? 1
        let span = max(high - low, high.magnitude * 0.05, 1e-6)
        for edge in spans.flatMap({ limits(of: $0) })
        where edge.limit.value > low - 2 * span && edge.limit.value < high + 2 * span {
            low = min(low, edge.limit.value)
            high = max(high, edge.limit.value)
        }
        let margin = max((high - low) * 0.12, high.magnitude * 0.01, 2 * Signs.step(kind))
        low -= margin
        high += margin
        let raw = (high - low) / 5
        var power = 1e-6
        while power * 10 <= raw, power < 1e12 { power *= 10 }
        let step = max([1, 2, 5, 10].map { $0 * power }.first { $0 >= raw } ?? raw, Signs.step(kind))
        return Scale(low: low, high: high, step: step)
    }

    private func y(_ value: Double, _ scale: Scale) -> Double {
        let share = (value - scale.low) / max(scale.high - scale.low, 1e-9)
        return Self.height - Self.bottom - min(max(share, 0), 1) * (Self.height - Self.top - Self.bottom)
    }

    private func x(_ instant: Instant) -> Double {
        let share = (instant - start).seconds / max((time.now - start).seconds, 1)
        return Self.left + min(max(share, 0), 1) * (Self.width - Self.left - Self.right)
    }

    // MARK: Parts

    /// Ambers first, so that a red lies over them.
    private func bands(_ scale: Scale) -> HTML {
        .all(
            spans.flatMap { span -> [HTML] in
                let (left, right) = (x(span.from), x(span.until))
                guard right - left > 0.5 else { return [] }
                return limits(of: span).sorted { $0.severity < $1.severity }.flatMap {
                    band($0, left, right, scale)
                }
            })
    }

    private func band(_ edge: Edge, _ left: Double, _ right: Double, _ scale: Scale) -> [HTML] {
        let place = y(edge.limit.value, scale)
        let (top, bottom) = edge.side == .low ? (place, Self.height - Self.bottom) : (Self.top, place)
        guard bottom - top > 0.5 else { return [] }
        return [
            element(
                "rect", .svg(.x, left), .svg(.y, top), .svg(.width, right - left), .svg(.height, bottom - top),
                .class("band band-\(edge.severity.rawValue)")
            ) { element("title") { "\(edge.severity.rawValue) limit \(Signs.number(edge.limit.value, kind))" } },
            element(
                "line", .svg(.x1, left), .svg(.x2, right), .svg(.y1, place), .svg(.y2, place),
                .class("limit limit-\(edge.severity.rawValue)")),
        ]
    }

    // MARK: Thinning

    private struct Sort: Hashable {
        var column: Int
        var isSuspect: Bool
        var isLate: Bool
        var isTyped: Bool
        var isWrong: Bool
        /// Which limits it is beyond.
        var beyond: Int
    }

    /// So many are drawn as they are.
    private static let few = 400

    /// What is drawn, oldest first.
    var drawn: [ChartReading] {
        guard readings.count > Self.few else { return readings }
        let edges = spans.map { ($0.until, limits(of: $0)) }
        var extremes: [Sort: (low: Int, high: Int)] = [:]
        for (place, reading) in readings.enumerated() {
            let own = (edges.first { reading.takenAt < $0.0 } ?? edges.last)?.1 ?? []
            var beyond = 0
            for (bit, edge) in own.prefix(60).enumerated() where Self.isBeyond(reading.value, edge) {
                beyond |= 1 << bit
            }
            let sort = Sort(
                column: Int(exactly: x(reading.takenAt).rounded()) ?? 0, isSuspect: reading.isSuspect,
                isLate: reading.isLate, isTyped: reading.typed != nil, isWrong: reading.correction != nil,
                beyond: beyond)
            guard var found = extremes[sort] else {
                extremes[sort] = (place, place)
                continue
            }
            if reading.value < readings[found.low].value { found.low = place }
            if reading.value > readings[found.high].value { found.high = place }
            extremes[sort] = found
        }
        return Set(extremes.values.flatMap { [$0.low, $0.high] }).sorted().map { readings[$0] }
    }

    private static func isBeyond(_ value: Double, _ edge: Edge) -> Bool {
        let limit = edge.limit
        return switch edge.side {
        case .low: limit.inclusive ? value <= limit.value : value < limit.value
        case .high: limit.inclusive ? value >= limit.value : value > limit.value
        }
    }

    private func axis(_ scale: Scale) -> HTML {
        var parts: [HTML] = []
        var value = (scale.low / scale.step).rounded(.up) * scale.step
        while value <= scale.high, parts.count < 24 {
            let place = y(value, scale)
            parts.append(
                element(
                    "line", .svg(.x1, Self.left), .svg(.x2, Self.width - Self.right), .svg(.y1, place),
                    .svg(.y2, place), .class("grid")))
            parts.append(
                element("text", .svg(.x, Self.left - 6), .svg(.y, place + 4), .svg(.textAnchor, "end")) {
                    Signs.number(value, kind)
                })
            value += scale.step
        }
        return .all(parts)
    }

    private var days: HTML {
        var parts: [HTML] = []
        let count = max(Int((time.now - start).seconds / 86_400), 1)
        let every = count <= 8 ? 1 : count <= 31 ? 5 : 15
        var midnight = time.midnight(after: start)
        var number = 0
        while midnight <= time.now, number < 100 {
            if number.isMultiple(of: every) {
                let place = x(midnight)
                parts.append(
                    element(
                        "line", .svg(.x1, place), .svg(.x2, place), .svg(.y1, Self.top),
                        .svg(.y2, Self.height - Self.bottom), .class("grid")))
                parts.append(
                    element("text", .svg(.x, place), .svg(.y, Self.height - 8), .svg(.textAnchor, "middle")) {
                        time.dayAndMonth(midnight)
                    })
            }
            midnight = time.midnight(after: midnight)
            number += 1
        }
        return .all(parts)
    }

    private var alerts: HTML {
        .all(
            marks.filter { $0.at >= start }.map { mark in
                let place = x(mark.at)
                return element("g", .class("mark mark-\(mark.severity.rawValue)")) {
                    element("title") { mark.words }
                    element(
                        "line", .svg(.x1, place), .svg(.x2, place), .svg(.y1, Self.top),
                        .svg(.y2, Self.height - Self.bottom))
                    element("path", .svg(.d, "M\(Int(place)) 2 l6 11 h-12 Z"))
                }
            })
    }

    /// Through what is to be believed.
    private func line(_ drawn: [ChartReading], _ scale: Scale) -> HTML {
        let sound = drawn.filter { !$0.isSuspect && $0.correction == nil }
        guard sound.count > 1 else { return .nothing }
        let points = sound.map { "\(Self.tenth(x($0.takenAt))),\(Self.tenth(y($0.value, scale)))" }
        return element("polyline", .svg(.points, points.joined(separator: " ")), .class("line"))
    }

    private static func tenth(_ value: Double) -> Double { (value * 10).rounded() / 10 }

    /// A disc; typed in a diamond, suspect an open square, late a ring, entered in error a cross.
    private func point(_ reading: ChartReading, _ scale: Scale) -> HTML {
        let (x, y) = (x(reading.takenAt), y(reading.value, scale))
        var words = "\(Signs.number(reading.value, kind)), \(time.short(reading.takenAt))"
        if let typed = reading.typed { words += ", typed in by \(typed)" }
        if reading.isSuspect { words += ", suspect" }
        if reading.isLate { words += ", received late (\(time.short(reading.receivedAt)))" }
        if let correction = reading.correction { words += ", entered in error: \(correction)" }
        return element("g", .class("point")) {
            element("title") { words }
            if reading.correction != nil {
                element(
                    "path", .svg(.d, "M\(x - 4) \(y - 4) L\(x + 4) \(y + 4) M\(x - 4) \(y + 4) L\(x + 4) \(y - 4)"),
                    .class("wrong"))
            } else if reading.isSuspect {
                element(
                    "rect", .svg(.x, x - 4), .svg(.y, y - 4), .svg(.width, 8), .svg(.height, 8), .class("suspect"))
            } else if reading.typed != nil {
                element(
                    "path", .svg(.d, "M\(x) \(y - 5.5) L\(x + 5.5) \(y) L\(x) \(y + 5.5) L\(x - 5.5) \(y) Z"),
                    .class("typed"))
            } else {
                element(
                    "circle", .svg(.cx, x), .svg(.cy, y), .svg(.r, reading.isLate ? 4.5 : 3.5),
                    .class(reading.isLate ? "late" : "sound"))
            }
        }
    }
}
