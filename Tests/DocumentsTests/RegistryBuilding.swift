import Clinical
import Registry

@testable import Documents

/// Packs enough to be referred to: `adult` with SpO2 limits, and empty condition packs.
let testPacks = PackLibrary([
    ProtocolPack(
        code: "adult", title: "Everybody", contentHash: "",
        bands: [
            Band(
                kind: .spo2, side: .low, applicability: Applicability(news2Scale: 1),
                limits: [
                    BandLimit(
                        threshold: Threshold(
                            severity: .red, limit: Limit(value: 92, inclusive: true), immediate: true),
                        source: "test"),
                    BandLimit(
                        threshold: Threshold(severity: .amber, limit: Limit(value: 94, inclusive: true)),
                        source: "test"),
                ])
        ]),
    ProtocolPack(code: "copd", title: "COPD", contentHash: "", bands: []),
    ProtocolPack(code: "heart-failure", title: "Heart failure", contentHash: "", bands: []),
])

func build(
    _ yaml: String, served: ServedChannels = ServedChannels(email: true, sms: true)
) throws -> RegistryBuilder.Outcome {
    RegistryBuilder(packs: testPacks, served: served).build(try RegistryFile.parse(Array(yaml.utf8), file: "r.yaml"))
}

/// Entries that the database has already, so that the wrong one stands alone in its file.
let storedEntries = [
    RegistryEntry(key: RegistryKey(entity: .site, code: "north"), fields: ["name": .string("North")]),
    RegistryEntry(key: RegistryKey(entity: .site, code: "south"), fields: ["name": .string("South")]),
    RegistryEntry(
        key: RegistryKey(entity: .careManager, code: "cm-01"),
        fields: ["site": .string("north"), "email": .string("a@example.org"), "role": .string("team-lead")]),
    RegistryEntry(key: RegistryKey(entity: .patient, code: "P0001"), fields: ["site": .string("north")]),
    RegistryEntry(key: RegistryKey(entity: .patient, code: "P0002"), fields: ["site": .string("north")]),
]
