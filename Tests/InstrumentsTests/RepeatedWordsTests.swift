import Synchronization
import Testing

@testable import Instruments

@Suite struct RepeatedWordsTests {
    @Test func `the same words are logged once a minute, with how often they were said`() {
        let now = Mutex(Duration.zero)
        let words = RepeatedWords { now.withLock { $0 } }
        #expect(words.take("refused") == 1)
        #expect(words.take("refused") == nil)
        #expect(words.take("another") == 1)
        now.withLock { $0 = .milliseconds(59_999) }
        #expect(words.take("refused") == nil)
        now.withLock { $0 = .seconds(60) }
        #expect(words.take("refused") == 3)
        #expect(words.take("refused") == nil)
        now.withLock { $0 = .seconds(3600) }
        #expect(words.take("refused") == 1, "what was not said within ten minutes is forgotten")
    }
}
