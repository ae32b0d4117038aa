import Glibc
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

    @Test(arguments: ["", "home\u{0}ward", "home\u{1}ward"])
    func aBadClientIDIsAnErrorLeaksNothingAndClosesNothing(clientID: String) {
        var before = stat()
        var after = stat()
        #expect(unsafe fstat(0, &before) == 0)
        weak var watched: MosquittoCallbacks?
        do {
            let callbacks = MosquittoCallbacks()
            watched = callbacks
            #expect(throws: MQTTError.self) {
                _ = try MosquittoHandle(clientID: clientID, cleanStart: false, callbacks: callbacks)
            }
        }
        #expect(watched == nil)
        // libmosquitto would have closed it, whatever it is.
        #expect(unsafe fstat(0, &after) == 0)
        #expect(before.st_ino == after.st_ino)
    }
}
