public import Clinical

/// The site, patients, readers and care managers that stand for nobody: what the self-test sends its reading as. They
/// are entries of the registry like others, kept apart from the real ones by their site.
public enum Synthetic {
    /// No other site may have this code, and nobody else one that begins with it.
    public static let siteCode = "homeward-self"

    public static func isSynthetic(_ site: Identifier?) -> Bool { site?.description == siteCode }

    /// The code of an instance's synthetic patient, reader and care manager: each instance has its own, so that each is
    /// tested by itself. From the client id under which the broker knows it.
    public static func code(clientID: String) -> String {
        let clean = String(
            clientID.unicodeScalars.map { scalar -> Character in
                switch scalar {
                case "A"..."Z", "a"..."z", "0"..."9", "-", "_": Character(scalar)
                default: "-"
                }
            })
        return String("\(siteCode)-\(clean)".prefix(Identifier.maximumCount))
    }
}

/// The reader that stands for what a patient tells over the telephone: an entry of the registry like others, made with the
/// first reading that is typed in. No apparatus has its code.
public enum TypedReader {
    private static let prefix = "typed-"

    public static func code(of patient: Identifier) -> Identifier? {
        Identifier(String((prefix + patient.description).prefix(Identifier.maximumCount)))
    }

    public static func isTyped(_ device: Identifier) -> Bool { device.description.hasPrefix(prefix) }
}
