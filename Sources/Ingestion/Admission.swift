import Clinical
import Formats
import Registry

/// A message on its way through a batch.
struct Candidate: Sendable {
    var message: Message
    var decoded: Decoded
    var outcome = Outcome()
    /// What admission found before the keys were looked at; found out in each transaction anew.
    var admission: Admission
    /// Of a report that a person released from quarantine.
    var release: Int64?
    /// A care manager typed it in: it came by no broker.
    var isTyped = false
    /// Another instance took it in and left it to this one: it is received here once it has ended here.
    var wasHandedOver = false

    init(
        message: Message, decoded: Decoded, outcome: Outcome = Outcome(),
        admission: Admission = .unreadable(.malformed, detail: "not looked at yet")
    ) {
        self.message = message
        self.decoded = decoded
        self.outcome = outcome
        self.admission = admission
    }

    /// Nil where its id or its topic can't be read.
    var key: ReportKey? {
        guard let topic = decoded.topic, let id = decoded.report.id else { return nil }
        return ReportKey(device: topic.device, report: id)
    }
}

/// Which way a decoded message goes, as far as that can be said before its key is looked up.
enum Admission: Sendable, Hashable {
    case status(device: Identifier)
    /// Not a report at all: quarantined whatever its key.
    case unreadable(RefusalReason, detail: String)
    /// A report of a device that nobody knows by this code: it can't have been stored.
    case unknownDevice(RefusalReason)
    /// Its key decides first; refused for `reason` if it is new.
    case refused(RefusalReason, key: ReportKey, detail: String)
    /// To be stored for that patient if its key is new.
    case admitted(ReportKey, patient: Identifier)
    /// Another has it in hand: it is passed over.
    case elsewhere

    var key: ReportKey? {
        switch self {
        case .refused(_, let key, _), .admitted(let key, _): key
        case .status, .unreadable, .unknownDevice, .elsewhere: nil
        }
    }

    /// The contract's order after the key: `retained`, `unknown-device`, `clock-future`, `too-old`, `unpaired`, then
    /// what is left of the readings. While our own clock is in doubt it refuses nothing.
    init(_ message: Message, _ decoded: Decoded, registry: Registry, serverClockTrusted: Bool = true) {
        guard let topic = decoded.topic else {
            self = .unreadable(.badTopic, detail: decoded.fault?.detail ?? "")
            return
        }
        if let fault = decoded.fault {
            self = .unreadable(fault.reason, detail: fault.detail)
            return
        }
        if topic.leaf == .status {
            self =
                registry.device(topic.device, at: topic.site) == nil
                ? .unknownDevice(.unknownDevice) : .status(device: topic.device)
            return
        }
        guard let id = decoded.report.id else {
            self = .unreadable(.malformed, detail: "id can't be read")
            return
        }
        let key = ReportKey(device: topic.device, report: id)
        guard let device = registry.devices[topic.device] else {
            self = .unknownDevice(message.retained ? .retained : .unknownDevice)
            return
        }
        let patient = device.patient(at: decoded.clock.takenAt)
        if message.retained {
            self = .refused(.retained, key: key, detail: "flagged retained and not stored before")
        } else if device.site != topic.site {
            self = .refused(.unknownDevice, key: key, detail: "the device is not of this site")
        } else if let refusal = decoded.clock.refusal, serverClockTrusted {
            self = .refused(refusal, key: key, detail: "taken_at \(RFC3339.format(decoded.clock.takenAt))")
        } else if let patient {
            if decoded.readings.readings.isEmpty, decoded.report.answers.isEmpty,
                let first = decoded.readings.refused.first
            {
                self = .refused(first.reason, key: key, detail: decoded.readings.refused.refusalDetail)
            } else {
                self = .admitted(key, patient: patient)
            }
        } else {
            self = .refused(.unpaired, key: key, detail: "no patient held the device at taken_at")
        }
    }
}

extension [RefusedReading] {
    /// `[{"reading":2,"kind":"weight","reason":"implausible"}]`
    var refusalDetail: String {
        var writer = JSONWriter()
        writer.beginArray()
        for refused in self { refused.write(to: &writer) }
        writer.endArray()
        return writer.text
    }
}

extension RefusedReading {
    /// `{"reading":2,"kind":"weight","reason":"implausible"}`
    var refusalDetail: String {
        var writer = JSONWriter()
        write(to: &writer)
        return writer.text
    }

    fileprivate func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("reading")
        writer.value(Double(index))
        writer.name("kind")
        writer.value(kind)
        writer.name("reason")
        writer.value(reason.rawValue)
        writer.endObject()
    }
}
