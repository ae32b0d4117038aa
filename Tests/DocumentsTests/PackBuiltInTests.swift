import Clinical
import Testing

@testable import Documents

@Suite struct PackBuiltInTests {
    @Test func builtInPacksHaveNoProblems() {
        let (library, problems) = PackLibrary.load(BuiltInPacks.files, directory: "built in", ProblemList())
        #expect(problems.map(\.description) == [])
        #expect(library.packs.count == 7)
    }

    /// Nothing in a pack is clinical sign-off, and no number stands without its source or the word that it has none.
    @Test func everyPackAsksForLocalApprovalAndEveryLimitHasASource() {
        for file in BuiltInPacks.files {
            let text = String(decoding: file.bytes, as: UTF8.self)
            #expect(text.contains("# MUST BE APPROVED LOCALLY by a clinical safety officer"), "\(file.code)")
        }
        for pack in BuiltInPacks.library().packs {
            for limit in pack.bands.flatMap(\.limits) {
                #expect(!limit.source.isEmpty, "\(pack.code) \(limit.threshold.limit.value)")
                #expect(limit.isProposal == limit.source.contains("proposal"), "\(pack.code) \(limit.source)")
            }
            for rule in pack.rules {
                for level in rule.levels {
                    #expect(!level.source.isEmpty, "\(pack.code) \(rule.name)")
                    #expect(level.isProposal == level.source.contains("proposal"), "\(pack.code) \(rule.name)")
                }
            }
        }
    }
}
