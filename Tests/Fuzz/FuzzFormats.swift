import Clinical
import Formats

// What libFuzzer calls with each input. Swift's own traps and AddressSanitizer end the run; the checks below do the
// same for answers that contradict each other.

private func require(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError(String(describing: what)) }
}

private nonisolated(unsafe) var decoder = ReportDecoder()
private nonisolated(unsafe) var report = SentReport()

private func decode(_ bytes: Span<UInt8>) -> ReportFault? {
    do throws(ReportFault) {
        try unsafe decoder.decode(bytes, into: &report)
        return nil
    } catch {
        return error
    }
}

private func checkReport(_ bytes: Span<UInt8>) {
    let fault = decode(bytes)
    let value = try? JSONReader.value(bytes)
    require(
        fault?.reason == nil || fault?.reason == .malformed || fault?.reason == .empty, "a reason of the decoder")
    require(fault != nil || value != nil, "what the decoder takes, the reader takes")
    unsafe require(fault?.reason != .empty || report.id != nil, "an empty report has an id")
    if fault == nil {
        let digest = unsafe ContentDigest(of: report)
        unsafe require(report.readings.count <= 64 && report.answers.count <= 64, "at most 64 entries")
        unsafe require(!report.readings.isEmpty || !report.answers.isEmpty, "not empty")
        for reading in unsafe report.readings {
            if case .number(let number) = reading.value { require(number.isFinite, "finite") }
        }
        // Written anew, in our own way, it says the same.
        if let value {
            var writer = JSONWriter()
            writer.value(value)
            let copy = writer.bytes
            // Doubles alone stand in the value: a `seq` beyond 2^53 comes out as another number.
            let isExact = unsafe (report.sequence ?? 0) <= 1 << 53
            if isExact, copy.count <= ReportDecoder.maximumCount {
                require(decode(copy.span) == nil, "our own writing is decoded")
                unsafe require(ContentDigest(of: report) == digest, "our own writing says the same")
            }
        }
    }
}

private func checkRest(_ bytes: Span<UInt8>) {
    if let instant = RFC3339.parse(bytes) {
        require(RFC3339.parse(RFC3339.format(instant)) == instant, "a time is written and read again")
    }
    if let topic = HomewardTopic(bytes) { require(HomewardTopic(topic.text) == topic, "a topic likewise") }
    if let receipt = Receipt(bytes) {
        var output: [UInt8] = []
        receipt.encode(into: &output)
        require(Receipt(output.span) == receipt, "a receipt likewise")
    }
    if let value = try? JSONReader.value(bytes, maximumDepth: 64) {
        var writer = JSONWriter()
        writer.value(value)
        let again = try? JSONReader.value(writer.bytes.span, maximumDepth: 64)
        require(again == value, "a value is written and read again")
    }
    if let members = try? JSONReader.members(bytes) {
        for member in members { _ = decode(bytes.extracting(member.range)) }
    }
    _ = try? DeviceStatus.decode(bytes)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = unsafe UnsafeBufferPointer(start: start, count: count)
    unsafe checkReport(bytes.span)
    unsafe checkRest(bytes.span)
    return 0
}
