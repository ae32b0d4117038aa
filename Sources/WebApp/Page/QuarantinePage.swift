import Alerting
import Clinical

/// One refused report or reading: why, its bytes, whose the reader is, and the form that releases it.
struct QuarantinePage {
    let file: QuarantineFile
    let form: String
    let notice: PatientPage.Notice?
    /// A pairing as it was typed and refused.
    let again: WebForm?
    private let time: PageTime

    init(file: QuarantineFile, form: String, notice: PatientPage.Notice?, again: WebForm? = nil) {
        self.again = again
        self.file = file
        self.form = form
        self.notice = notice
        time = PageTime(now: file.at, timeZone: file.viewer.timeZone)
    }

    private var row: QuarantineRow { file.row }

    var page: HTML {
        PageFrame.page("Held report", viewer: file.viewer, form: form) {
            element("p", .class("small")) { element("a", .href(Place("service"))) { "Service" } }
            element("h1") { row.reading == nil ? "Held report" : "Refused reading" }
            if let notice { notice.part }
            element("div", .class("columns")) {
                element("div") {
                    what
                    if file.isPairable { pairing }
                    release
                    raw
                }
                element("aside") { pairings }
            }
        }
    }

    private var what: HTML {
        element("section", .class("card")) {
            element("h2") { row.reason.rawValue }
            Facts.list([
                ("Received", time.short(row.receivedAt)),
                (
                    "Last received",
                    row.timesSeen > 1 ? "\(time.short(row.lastReceivedAt)), \(row.timesSeen) times" : nil
                ),
                ("Site", row.site), ("Reader", row.device), ("Report", row.report),
                ("Reading", row.reading.map { "\($0), counted from 0" }), ("Detail", file.detail),
                ("Topic", file.topic),
            ])
        }
    }

    // MARK: Fixing the pairing

    private var pairing: HTML {
        element("section", .class("card"), .id("pair")) {
            element("h2") { "Fix the pairing" }
            element("p") {
                "If you know whose reader "
                element("bdi") { row.device ?? "" }
                " was at \(time.short(file.wanted)), say so. It is theirs from then on, or until it is somebody's next; "
                "pairings may not overlap. Then release the report."
            }
            PatientForms.post(Place("quarantine", "\(row.id)"), form: form) {
                element("div", .class("stack")) {
                    element("input", .type("hidden"), .name("do"), .value("pair"))
                    field("patient", "Patient's code", type: "text", again?["patient"] ?? "", length: 64)
                    field(
                        "from", "From, by the site's clock", type: "datetime-local",
                        again?["from"] ?? time.local(file.wanted), length: 16)
                    field("reason", "How you know", type: "text", again?["reason"] ?? "", length: 500)
                    element("button", .type("submit"), .class("primary")) { "Pair it" }
                }
            }
        }
    }

    private func field(_ name: String, _ words: String, type: StaticString, _ value: String, length: Int) -> HTML {
        .all([
            element("label", .for("pair-\(name)")) { words },
            element(
                "input", .type(type), .id("pair-\(name)"), .name(name), .value(value), .maxlength(length), .required,
                .autocomplete("off")),
        ])
    }

    // MARK: Release

    private var release: HTML {
        element("section", .class("card"), .id("release")) {
            element("h2") { "Release" }
            if let state = row.release { asked(state) }
            if file.isReleasable {
                element("p") { Self.effect(row.reason) }
                element("form", .method("post"), .action(Place("quarantine", "\(row.id)")), .class("stack")) {
                    PageFrame.formToken(form)
                    element("input", .type("hidden"), .name("do"), .value("release"))
                    element("label", .for("note")) { "Why it may be stored" }
                    element(
                        "input", .type("text"), .id("note"), .name("note"), .maxlength(500), .required,
                        .autocomplete("off"))
                    element("button", .type("submit"), .class("primary")) { "Release" }
                }
            } else if row.release == nil || !(row.release?.isSettled ?? false) {
                element("p") {
                    "It can't be released: it can't be read, or a value in it was refused. Whoever knows what was measured "
                    "types it in on the patient's page."
                }
            }
            if !file.earlier.isEmpty {
                element("details") {
                    element("summary") { "Earlier releases" }
                    for state in file.earlier { asked(state) }
                }
            }
        }
    }

    private func asked(_ state: ReleaseState) -> HTML {
        element("p", .class("event")) {
            "Released \(time.short(state.requestedAt)) by "
            element("bdi") { state.requestedBy }
            " (“"
            element("bdi") { state.note }
            "”): "
            element("strong") { ServicePage.words(state) }
        }
    }

    private static func effect(_ reason: RefusalReason) -> String {
        switch reason {
        case .retained: "It is judged as a report that has just come, with the time at which it was received."
        case .tooOld: "It is stored and judged with the time at which it was taken, though that is long past."
        case .clockFuture:
            "It is stored and judged as taken when it was received, since its own time lies ahead of that."
        case .unpaired, .unknownDevice:
            "Fix the pairing first. Then it is judged anew, with the time at which it was received."
        default: "It is judged anew, as it was received."
        }
    }

    // MARK: Bytes

    private var raw: HTML {
        element("section", .class("card")) {
            element("h2") { "As it came" }
            element("p", .class("small")) { "\(file.payload.count) bytes" }
            if file.payload.isEmpty {
                element("p", .class("empty")) { "Its bytes were not kept." }
            } else {
                element("h3") { "Text" }
                element("pre", .class("raw"), .tabindex) {
                    String(decoding: file.payload.prefix(Self.shown), as: UTF8.self)
                }
                element("details") {
                    element("summary") { "Hexadecimal" }
                    element("pre", .class("raw"), .tabindex) { Self.hexadecimal(file.payload.prefix(Self.shown)) }
                }
                if file.payload.count > Self.shown {
                    element("p", .class("small")) { "The first \(Self.shown) bytes." }
                }
            }
        }
    }

    private static let shown = 8192

    /// `0010  7b 22 69 64  |{"id|`, 16 bytes a line.
    static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
        }
        var lines: [String] = []
        var rest = bytes
        var offset = 0
        while !rest.isEmpty {
            let line = rest.prefix(16)
            rest = rest.dropFirst(16)
            let numbers = line.map { digits(Int($0), 2) }.joined(separator: " ")
            let gap = String(repeating: " ", count: max(0, 47 - numbers.utf8.count))
            let text = String(
                String.UnicodeScalarView(
                    line.map { (0x20..<0x7f).contains($0) ? Unicode.Scalar($0) : Unicode.Scalar(0x2e) }))
            lines.append("\(digits(offset, 4))  \(numbers)\(gap)  \(text)")
            offset += 16
        }
        return lines.joined(separator: "\n")
    }

    // MARK: Pairings

    private var pairings: HTML {
        element("section", .class("card")) {
            element("h2") { "Whose reader" }
            if file.pairings.isEmpty {
                element("p", .class("empty")) { "Nobody's of this site." }
            }
            element("ul", .class("plain")) {
                for span in file.pairings {
                    element("li") {
                        element("a", .href(Place("patients", span.patient))) { span.patient }
                        " since \(time.short(span.from))"
                        if let until = span.until { " until \(time.short(until))" }
                    }
                }
            }
        }
    }
}

extension PatientPage.Notice {
    var part: HTML {
        element("p", .class(isBad ? "notice bad" : "notice"), .role(isBad ? "alert" : "status")) { words }
    }
}
