import Testing

@testable import MQTTClient

@Suite struct HandleTests {
    @Test func theCallbacksLiveAsLongAsTheHandleAndNoLonger() throws {
        weak var watched: MosquittoCallbacks?
        do {
            let handle: MosquittoHandle
            do {
                let callbacks = MosquittoCallbacks()
                watched = callbacks
                handle = try MosquittoHandle(clientID: "homeward", cleanStart: true, callbacks: callbacks)
            }
            #expect(watched != nil)
            #expect(handle.descriptor == -1)
        }
        #expect(watched == nil)
    }

    @Test func whatLibmosquittoRefusesIsAnErrorAndLeaksNothing() {
        weak var watched: MosquittoCallbacks?
        do {
            let callbacks = MosquittoCallbacks()
            watched = callbacks
            // A session can't be kept for a client without an id.
            #expect(throws: MQTTError.self) {
                _ = try MosquittoHandle(clientID: "", cleanStart: false, callbacks: callbacks)
            }
        }
        #expect(watched == nil)
    }
}
