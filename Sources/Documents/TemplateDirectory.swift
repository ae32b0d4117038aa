public import Formats
import Foundation

extension MessageTemplates {
    /// The templates of `config/templates`, as they were when this was built. A fault in one is a fault of the build.
    public static func builtIn() -> MessageTemplates {
        let problems = ProblemList()
        let templates = read(problems, directory: "built in") { builtInFiles[$0] }
        guard let templates else {
            preconditionFailure("built-in templates: \(problems.refusals.map(\.description).joined(separator: "\n"))")
        }
        return templates
    }

    private static let builtInFiles = [
        "email.txt": PackageResources.email_txt, "email-patient.txt": PackageResources.email_patient_txt,
        "email-digest.txt": PackageResources.email_digest_txt, "sms.txt": PackageResources.sms_txt,
        "sms-patient.txt": PackageResources.sms_patient_txt, "sms-digest.txt": PackageResources.sms_digest_txt,
    ]

    /// The files of a directory, of the same names; one that is not there is the built-in one. Nil where one is wrong,
    /// which is reported at its line.
    static func read(directory: String, _ problems: ProblemList) -> MessageTemplates? {
        read(problems, directory: directory) { name in
            let path = "\(directory)/\(name)"
            guard FileManager.default.fileExists(atPath: path) else { return builtInFiles[name] }
            guard let data = FileManager.default.contents(atPath: path) else {
                problems.add(DocumentProblem(file: path, line: nil, message: "can't be read"))
                return nil
            }
            return [UInt8](data)
        }
    }

    private static func read(
        _ problems: ProblemList, directory: String, _ bytes: (String) -> [UInt8]?
    ) -> MessageTemplates? {
        func template<Value>(_ name: String, _ parse: (String) throws(Fault) -> Value) -> Value? {
            guard let bytes = bytes(name) else { return nil }
            let path = "\(directory)/\(name)"
            guard let text = String(validating: bytes, as: UTF8.self), bytes.count <= 64 << 10 else {
                problems.add(DocumentProblem(file: path, line: nil, message: "is not a short text in UTF-8"))
                return nil
            }
            do throws(Fault) {
                return try parse(text)
            } catch {
                problems.add(DocumentProblem(file: path, line: error.line, message: error.message))
                return nil
            }
        }
        func gathered(_ kind: String) -> Gathered? {
            let email = template("email-\(kind).txt", MessageTemplates.gatheredEmail)
            let sms = template("sms-\(kind).txt", MessageTemplates.gatheredSMS)
            guard let email, let sms else { return nil }
            return Gathered(emailSubject: email.subject, emailLine: email.line, emailBody: email.body, sms: sms)
        }
        let email = template("email.txt", MessageTemplates.email)
        let sms = template("sms.txt", MessageTemplates.sms)
        let patient = gathered("patient")
        let digest = gathered("digest")
        guard let email, let sms, let patient, let digest else { return nil }
        return MessageTemplates(
            emailSubject: email.subject, emailBody: email.body, sms: sms, patient: patient, digest: digest)
    }
}
