import Alerting
import Clinical
import Cryptography

/// Which protocol packs judge, and what waits for the approval of whoever leads.
struct PacksPage {
    let file: PackFile
    let form: String
    let notice: PatientPage.Notice?
    private let time: PageTime

    init(_ file: PackFile, form: String, notice: PatientPage.Notice? = nil) {
        self.file = file
        self.form = form
        self.notice = notice
        time = PageTime(now: file.at, timeZone: file.viewer.timeZone)
    }

    var page: HTML {
        PageFrame.page("Protocol packs", viewer: file.viewer, form: form) {
            element("h1") { "Protocol packs" }
            if let notice { notice.part }
            element("p") {
                "The limits of a pack judge every patient who has its condition; adult judges everybody. A changed pack is not in "
                "force until an administrator, or the team lead of an only site, has approved it: the one approved last "
                "stays. A pack of which nothing was ever approved is in force as it is configured, and every page says so."
            }
            if file.versions.isEmpty { element("p", .class("empty")) { "The daemon has not named its packs yet." } }
            for pack in packs { card(pack) }
        }
    }

    private var packs: [String] {
        var seen: Set<String> = []
        return file.versions.map(\.pack).filter { seen.insert($0).inserted }
    }

    private func card(_ pack: String) -> HTML {
        let versions = file.versions.filter { $0.pack == pack }
        let inForce = versions.first(where: \.isInForce)
        return element("section", .class("card"), .id("pack-\(pack)")) {
            element("h2") { element("bdi") { pack } }
            if file.isFileMissing(pack) { missing(pack) }
            for version in versions where version.isConfigured || version.isInForce || !version.approvals.isEmpty {
                part(version, inForce: inForce)
            }
        }
    }

    /// Taking a file away ends no rule by itself.
    private func missing(_ pack: String) -> HTML {
        element("div", .class("item")) {
            element("p") {
                element("span", .class("tag")) { "approved, file missing" }
                " The configuration has no file of it any more. It stays in force until somebody retires it here."
            }
            if file.mayApprove {
                let id = "retire-\(pack)"
                element("form", .method("post"), .action(Place("packs", pack)), .class("stack")) {
                    PageFrame.formToken(form)
                    element("input", .type("hidden"), .name("do"), .value("retire"))
                    element("p", .class("small")) {
                        "Its rules then judge nothing that comes. Open alerts of them stay open until somebody deals with "
                        "them. It is refused while a patient's plan names the pack."
                    }
                    element("label", .for(id)) { "Why it is retired" }
                    element(
                        "input", .type("text"), .id(id), .name("reason"), .maxlength(500), .required,
                        .autocomplete("off"))
                    element("button", .type("submit")) {
                        "Retire"
                        element("span", .class("visually-hidden")) { " \(pack)" }
                    }
                }
            }
        }
    }

    private func part(_ version: PackVersion, inForce: PackVersion?) -> HTML {
        element("div", .class("item")) {
            element("p") {
                if version.isInForce { element("span", .class("sign sign-green")) { "✓ in force" } }
                if version.isConfigured { element("span", .class("tag plain")) { "configured" } }
                if version.isConfigured, version.approvals.isEmpty {
                    element("span", .class("tag")) { "not approved here" }
                }
                " first seen \(time.short(version.firstSeenAt)), "
                element("code") { String(hexadecimal(version.hash).prefix(16)) }
            }
            for approval in version.approvals {
                element("p", .class("small")) {
                    "Approved \(time.short(approval.at)) by "
                    element("bdi") { approval.by }
                    ": "
                    element("bdi") { approval.note }
                    if let retirement = approval.retirement {
                        "; retired \(time.short(retirement.at)) by "
                        element("bdi") { retirement.by }
                        ": "
                        element("bdi") { retirement.reason }
                    }
                }
            }
            if let inForce, inForce.hash != version.hash { differences(from: inForce, to: version) }
            element("details") {
                element("summary") { "Read it" }
                element("pre", .class("raw"), .tabindex) { Self.text(version) }
            }
            if mayApprove(version) { approval(version) }
        }
    }

    private func mayApprove(_ version: PackVersion) -> Bool {
        guard file.mayApprove, version.isConfigured || !version.approvals.isEmpty else { return false }
        return !version.isInForce || version.approvals.isEmpty
    }

    private func approval(_ version: PackVersion) -> HTML {
        let id = "note-\(version.pack)-\(hexadecimal(version.hash).prefix(16))"
        return element("form", .method("post"), .action(Place("packs", version.pack)), .class("stack")) {
            PageFrame.formToken(form)
            element("input", .type("hidden"), .name("hash"), .value(hexadecimal(version.hash)))
            element("label", .for(id)) { "On what ground it is approved" }
            element("input", .type("text"), .id(id), .name("note"), .maxlength(500), .required, .autocomplete("off"))
            element("button", .type("submit"), .class("primary")) {
                "Approve"
                element("span", .class("visually-hidden")) { " \(version.pack)" }
            }
        }
    }

    private static func text(_ version: PackVersion) -> String { String(decoding: version.content, as: UTF8.self) }

    private func differences(from old: PackVersion, to new: PackVersion) -> HTML {
        let lines = Self.differences(from: Self.text(old), to: Self.text(new))
        return element("details") {
            element("summary") { "Against what is in force: \(lines.count) lines" }
            element("pre", .class("raw"), .tabindex) { lines.joined(separator: "\n") }
        }
    }

    /// `- 12: red_below: 85` and `+ 12: red_below: 83`, by their line numbers; no more than 500.
    static func differences(from old: String, to new: String) -> [String] {
        let before = old.split(separator: "\n", omittingEmptySubsequences: false)
        let after = new.split(separator: "\n", omittingEmptySubsequences: false)
        let changes = after.difference(from: before).map { change -> (line: Int, order: Int, text: String) in
            switch change {
            case .remove(let line, let text, _): (line, 0, "- \(line + 1): \(text)")
            case .insert(let line, let text, _): (line, 1, "+ \(line + 1): \(text)")
            }
        }
        return changes.sorted { ($0.line, $0.order) < ($1.line, $1.order) }.prefix(500).map(\.text)
    }
}
