import Alerting
import Clinical
import Formats
import Foundation
import PostgresStore
import Registry

/// What the page changes in the registry: the fields to write, from those that stand there.
extension RegistryChange.Base {
    typealias Edit = [RegistryKey: [String: FieldValue]]

    private static let over = RegistryChange.Refusal("they are no longer monitored")

    private func patient(_ code: Identifier) -> RegistryKey {
        RegistryKey(entity: .patient, code: code.description)
    }

    private func monitored(_ code: Identifier) throws(RegistryChange.Refusal) -> Patient {
        guard let patient = registry.patients[code] else { throw RegistryChange.Refusal("the registry lacks them") }
        guard patient.discharge == nil else { throw Self.over }
        return patient
    }

    func pausing(
        _ code: Identifier, from: CalendarDate, until: CalendarDate, _ reason: String
    ) throws(RegistryChange.Refusal) -> Edit {
        let monitored = try monitored(code)
        guard from <= until else { throw RegistryChange.Refusal("the pause would end before it begins") }
        guard let today = day(monitored.profile.timeZone), until >= today else {
            throw RegistryChange.Refusal("the pause would be over already")
        }
        guard days(from: from, to: until) <= Self.longestPause else {
            throw RegistryChange.Refusal("a pause lasts \(Self.longestPause) days at most")
        }
        var pauses: [FieldValue] = []
        if case .array(let others) = fields[patient(code)]?["pauses"] { pauses = others }
        pauses.append(
            .object([
                "from": .string(from.description), "until": .string(until.description), "reason": .string(reason),
            ]))
        return [patient(code): ["pauses": .array(pauses)]]
    }

    /// The pause as the person saw it: one that is another by now, or over, is refused.
    func endingPause(
        _ code: Identifier, from: CalendarDate, until: CalendarDate
    ) throws(RegistryChange.Refusal) -> Edit {
        let monitored = try monitored(code)
        guard monitored.pausesLeft(at: now).contains(where: { $0.from == from && $0.until == until }) else {
            throw RegistryChange.Refusal("there is no such pause any more: it is over, or another changed it")
        }
        guard let today = day(monitored.profile.timeZone), case .array(var pauses) = fields[patient(code)]?["pauses"],
            let place = pauses.lastIndex(where: { Self.isPause($0, from: from, until: until) }),
            case .object(var pause) = pauses[place]
        else { throw RegistryChange.Refusal("there is no such pause any more") }
        if from > today {
            pauses.remove(at: place)
        } else {
            pause["ended"] = .string(RFC3339.format(now))
            pauses[place] = .object(pause)
        }
        return [patient(code): ["pauses": .array(pauses)]]
    }

    private static func isPause(_ value: FieldValue, from: CalendarDate, until: CalendarDate) -> Bool {
        guard case .object(let fields) = value, fields["ended"] ?? .null == .null else { return false }
        return fields["from"] == .string(from.description) && fields["until"] == .string(until.description)
    }

    /// Both days counted. Ours: nobody is left unwatched by a slip of the year.
    private static let longestPause = 90

    private func days(from: CalendarDate, to until: CalendarDate) -> Int {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        func date(_ day: CalendarDate) -> Date? {
            calendar.date(from: DateComponents(year: day.year, month: day.month, day: day.day))
        }
        guard let first = date(from), let last = date(until) else { return .max }
        let days = calendar.dateComponents([.day], from: first, to: last).day ?? .max
        return days == .max ? days : days + 1
    }

    /// Where the patient lives.
    private func day(_ timeZone: String) -> CalendarDate? {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(identifier: timeZone) ?? .gmt
        let date = Date(timeIntervalSince1970: Interval(microseconds: now.microseconds).seconds)
        let parts = calendar.dateComponents([.year, .month, .day], from: date)
        return CalendarDate(year: parts.year ?? 0, month: parts.month ?? 0, day: parts.day ?? 0)
    }

    /// Nothing is expected any more, and no reader is theirs: what one sends from now on is nobody's.
    func discharging(_ code: Identifier, because cause: Discharge.Cause) throws(RegistryChange.Refusal) -> Edit {
        _ = try monitored(code)
        var edit: Edit = [
            patient(code): [
                "discharged": .object(["at": .string(RFC3339.format(now)), "because": .string(cause.rawValue)]),
                "schedule": .array([]),
            ]
        ]
        for (device, entry) in registry.devices where entry.pairings.contains(where: { isTheirs($0, code) }) {
            let left = entry.pairings.compactMap { isTheirs($0, code) ? ended($0) : $0 }
            edit[RegistryKey(entity: .device, code: device.description)] = ["pairings": Self.value(left)]
        }
        return edit
    }

    /// - Parameters:
    ///   - old: nil where the patient has none: the new one is given.
    ///   - isNewHere: a code that the registry doesn't know is no slip.
    func replacing(
        _ old: Identifier?, with new: Identifier, of code: Identifier, isNewHere: Bool
    ) throws(RegistryChange.Refusal) -> Edit {
        let monitored = try monitored(code)
        guard old != new else { throw RegistryChange.Refusal("it is the same reader") }
        guard !TypedReader.isTyped(new), !(old.map(TypedReader.isTyped) ?? false) else {
            throw RegistryChange.Refusal("that is no reader, but what was typed in")
        }
        guard isNewHere || registry.devices[new] != nil else {
            throw RegistryChange.Refusal(
                "the reader \(new) is new here; if its code is right, say so below, else mend the code")
        }
        var edit: Edit = [:]
        if let old {
            guard let pairings = registry.devices[old]?.pairings, pairings.contains(where: { isTheirs($0, code) })
            else {
                throw RegistryChange.Refusal("\(old) is not this patient's")
            }
            let left = pairings.compactMap { isTheirs($0, code) ? ended($0) : $0 }
            edit[RegistryKey(entity: .device, code: old.description)] = ["pairings": Self.value(left)]
        }
        var pairings: [Pairing] = []
        if let device = registry.devices[new] {
            guard device.site == monitored.site else { throw RegistryChange.Refusal("\(new) is of another site") }
            guard !device.pairings.contains(where: { $0.until.map { $0 > now } ?? true }) else {
                throw RegistryChange.Refusal("\(new) is somebody's, or is promised to somebody")
            }
            pairings = device.pairings
        }
        // A report's own time may be cut to whole seconds: one of this very second is theirs.
        let second = Instant(microseconds: now.microseconds - now.microseconds % 1_000_000)
        pairings.append(Pairing(patient: code, from: max(second, pairings.compactMap(\.until).max() ?? second)))
        edit[RegistryKey(entity: .device, code: new.description)] = [
            "site": .string(monitored.site.description), "pairings": Self.value(pairings),
        ]
        return edit
    }

    /// The reader was nobody's then; it is theirs until it is somebody's next, which may be now already.
    func pairing(
        _ reader: Identifier, with code: Identifier, from: Instant
    ) throws(RegistryChange.Refusal) -> Edit {
        let monitored = try monitored(code)
        guard !TypedReader.isTyped(reader) else {
            throw RegistryChange.Refusal("that is no reader, but what was typed in")
        }
        guard from <= now, now - from <= Self.longestAgo else {
            throw RegistryChange.Refusal("a pairing begins within the last 31 days")
        }
        let known = registry.devices[reader]
        guard known.map({ $0.site == monitored.site }) ?? true else {
            throw RegistryChange.Refusal("\(reader) is of another site")
        }
        var pairings = known?.pairings ?? []
        if let other = pairings.first(where: { $0.from <= from && ($0.until.map { from < $0 } ?? true) }) {
            let until = other.until.map { " until \(RFC3339.format($0))" } ?? ""
            throw RegistryChange.Refusal(
                "\(reader) was \(other.patient)'s then (since \(RFC3339.format(other.from))\(until)), and pairings may not "
                    + "overlap: end that one first, or begin this one after it")
        }
        let next = pairings.map(\.from).filter { $0 > from }.min()
        pairings.append(Pairing(patient: code, from: from, until: next))
        pairings.sort { $0.from < $1.from }
        return [
            RegistryKey(entity: .device, code: reader.description): [
                "site": .string(monitored.site.description), "pairings": Self.value(pairings),
            ]
        ]
    }

    /// As old as a report may be, and a day.
    private static let longestAgo = Interval.days(31)

    /// The reader that stands for what the patient tells; as long ago as a report may be about.
    func givingVoice(to code: Identifier, _ device: Identifier) throws(RegistryChange.Refusal) -> Edit {
        let monitored = try monitored(code)
        let known = registry.devices[device]
        guard known.map({ $0.site == monitored.site }) ?? true else { throw RegistryChange.Refusal("not at this site") }
        if known?.pairings.contains(where: { isTheirs($0, code) }) ?? false { return [:] }
        var pairings = known?.pairings ?? []
        let last = pairings.compactMap(\.until).max()
        pairings.append(Pairing(patient: code, from: max(now - .days(31), last ?? now - .days(31))))
        return [
            RegistryKey(entity: .device, code: device.description): [
                "site": .string(monitored.site.description), "can_ask": .boolean(false),
                "pairings": Self.value(pairings),
            ]
        ]
    }

    /// Now or later.
    private func isTheirs(_ pairing: Pairing, _ code: Identifier) -> Bool {
        pairing.patient == code && (pairing.until.map { $0 > now } ?? true)
    }

    /// Nil where it had not begun.
    private func ended(_ pairing: Pairing) -> Pairing? {
        pairing.from < now ? Pairing(patient: pairing.patient, from: pairing.from, until: now) : nil
    }

    private static func value(_ pairings: [Pairing]) -> FieldValue {
        .array(
            pairings.map { pairing in
                var fields: [String: FieldValue] = [
                    "patient": .string(pairing.patient.description), "from": .string(RFC3339.format(pairing.from)),
                ]
                if let until = pairing.until { fields["until"] = .string(RFC3339.format(until)) }
                return .object(fields)
            })
    }
}
