import Clinical
import Testing

@testable import Documents

@Suite struct PackBuiltInTests {
    @Test func builtInPacksHaveNoProblems() {
        let (library, problems) = PackLibrary.load(BuiltInPacks.files, directory: "built in", ProblemList())
        #expect(problems.map(\.description) == [])
        #expect(library.packs.count == 7)
    }
}
