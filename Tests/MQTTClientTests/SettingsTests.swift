import MQTTClient
import Testing

@Suite struct SettingsTests {
    @Test func thePasswordIsInNoDescription() {
        var settings = BrokerSettings(host: "broker", port: 8883, clientID: "homeward")
        settings.password = "do-not-tell"
        #expect(!"\(settings)".contains("do-not-tell"))
        #expect(!String(reflecting: settings).contains("do-not-tell"))
        var dumped = ""
        dump(settings, to: &dumped)
        #expect(!dumped.contains("do-not-tell"))
    }

    @Test func anErrorSaysItsCodes() {
        let error = MQTTError(.tls, libraryCode: 8, systemCode: 71, brokerCode: .notAuthorized)
        #expect(error.description == "tls, libmosquitto 8, errno 71 Protocol error, broker 0x87 not authorized")
        #expect(MQTTError(.addressLookup, systemCode: 1).description == "address-lookup, errno 1")
        #expect(MQTTError(.heldTooLong).description == "held-too-long")
    }
}
