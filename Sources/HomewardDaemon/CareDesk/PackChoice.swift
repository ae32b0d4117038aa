import Clinical
import Documents
import Ingestion
import PostgresStore

/// Which contents are in force, of what is configured and what was approved. Pure.
enum PackChoice {
    /// Of each configured pack the content that was approved last, else the configured one; and what was approved of packs
    /// that are not configured any more.
    static func wanted(_ configured: [PackBytes], approved: [PackBytes]) -> [PackBytes] {
        let byCode = Dictionary(approved.map { ($0.code, $0) }, uniquingKeysWith: { $1 })
        let gone = Set(byCode.keys).subtracting(configured.map(\.code))
        return configured.map { byCode[$0.code] ?? $0 } + gone.sorted().compactMap { byCode[$0] }
    }

    /// As many approved contents as load together, the others as they are configured; for when all of them don't. Nil: not
    /// even what is configured loads.
    static func most(
        _ configured: [PackBytes], approved: [PackBytes]
    ) -> (files: [PackBytes], library: PackLibrary)? {
        func loaded(_ approved: [PackBytes]) -> (files: [PackBytes], library: PackLibrary)? {
            let files = wanted(configured, approved: approved)
            let (library, problems) = PackLibrary.load(files)
            return problems.isEmpty ? (files, library) : nil
        }
        for one in approved {
            if let found = loaded(approved.filter { $0 != one }) { return found }
        }
        // More than one is in the way: one after another, again while any is added.
        var kept: [PackBytes] = []
        var best = loaded(kept)
        var before = -1
        while before < kept.count {
            before = kept.count
            for one in approved where !kept.contains(one) {
                guard let found = loaded(kept + [one]) else { continue }
                best = found
                kept.append(one)
            }
        }
        return best
    }

    /// Whether what is in force of every pack is what was approved last of it.
    static func isApproved(_ inForce: [PackBytes], by approved: [PackBytes]) -> Bool {
        hashes(approved) == hashes(inForce)
    }

    /// What somebody should know who goes by `inForce`: where that is another content than the configuration's.
    static func differences(_ configured: [PackBytes], inForce: [PackBytes]) -> [String] {
        let (files, judging) = (hashes(configured), hashes(inForce))
        return Set(files.keys).union(judging.keys).sorted().compactMap { code in
            switch (files[code], judging[code]) {
            case (nil, _): "pack \(code): approved and in force, its file is missing"
            case (let file, let judge) where file != judge:
                "pack \(code): judged by the content approved last, the configured file is another"
            default: nil
            }
        }
    }

    private static func hashes(_ files: [PackBytes]) -> [String: [UInt8]] {
        Dictionary(files.map { ($0.code, $0.hash) }, uniquingKeysWith: { $1 })
    }
}

extension LoadedConfiguration {
    /// The packs by which a daemon of this configuration judges when it starts. Where they are others than the configured
    /// ones, standard error says so.
    func packsInForce() throws(StoreFailure) -> PackLibrary {
        let approved = try PackStore(database).approved()
        var (files, library) = (PackChoice.wanted(packFiles, approved: approved), packs)
        if files != packFiles {
            let loaded = PackLibrary.load(files)
            library = loaded.library
            if !loaded.problems.isEmpty {
                let words = loaded.problems.map(\.description).joined(separator: "; ")
                StandardError.write("packs: those that were approved can't all be used together: \(words)\n")
                (files, library) = PackChoice.most(packFiles, approved: approved) ?? (packFiles, packs)
            }
        }
        for words in PackChoice.differences(packFiles, inForce: files) { StandardError.write("\(words)\n") }
        return library
    }
}
