import Foundation
import TestSupport
import Testing

extension EndToEndTests {
    /// Without a browser: what the listener of the daemon answers to whoever asks.
    @Test func `the page sends strangers to sign in, and keeps its files`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        #expect(stack.get("/")?.status == 401)
        #expect(stack.get("/patients/P0001")?.status == 401)
        #expect(stack.get("/sign-in")?.body.contains("authenticator app") == true)
        #expect(stack.get("/assets/style.css")?.body.contains("prefers-color-scheme") == true)
        #expect(stack.get("/assets/stream.js")?.body.contains("EventSource") == true)
        #expect(stack.get("/assets/other")?.status == 404)
        #expect(stack.stopDaemon() == 0)
    }
}
