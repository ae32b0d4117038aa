import Synchronization
import Testing

@testable import HomewardDaemon

@Suite struct RepeatedWordsTests {
    @Test func `the same words are logged once a minute, with how often they were said`() {
        let now = Mutex<Int64>(0)
        let words = RepeatedWords { now.withLock { $0 } }
        #expect(words.take("refused") == 1)
        #expect(words.take("refused") == nil)
        #expect(words.take("another") == 1)
        now.withLock { $0 = 59_999_999_999 }
        #expect(words.take("refused") == nil)
        now.withLock { $0 = 60_000_000_000 }
        #expect(words.take("refused") == 3)
        #expect(words.take("refused") == nil)
        now.withLock { $0 = 3_600_000_000_000 }
        #expect(words.take("refused") == 1, "what was not said within ten minutes is forgotten")
    }
}
