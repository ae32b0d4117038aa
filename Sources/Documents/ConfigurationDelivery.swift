import Formats

/// The section `delivery` of `homeward.yaml`: by which channels alerts can leave.
extension ConfigurationDocument {
    func delivery(isInsecureAllowed: Bool) -> DocumentValue<Configuration.Delivery> {
        .record { reader in
            let webhook = reader.section("webhook", self.webhook)
            let sms = reader.optional("sms", self.sms(isInsecureAllowed: isInsecureAllowed))
            let smtp = reader.optional("smtp", self.smtp(isInsecureAllowed: isInsecureAllowed))
            let mqtt = reader.optional("mqtt", self.mqtt)
            let templates = self.templates(reader.optional("templates", files.existingDirectory), reader)
            guard let templates else { return nil }
            return Configuration.Delivery(webhook: webhook, sms: sms, smtp: smtp, mqtt: mqtt, templates: templates)
        }
    }

    private func templates(_ directory: String?, _ reader: MappingReader) -> MessageTemplates? {
        guard let directory else { return .builtIn() }
        return MessageTemplates.read(directory: directory, reader.context.problems)
    }

    private var webhook: DocumentValue<Configuration.Webhook> {
        .record { reader in
            let secret = secret("secret", "delivery.webhook", as: files.secret, reader)
            let authority = reader.optional("ca_file", files.file)
            return Configuration.Webhook(secret: secret, caFile: authority)
        }
    }

    private func sms(isInsecureAllowed: Bool) -> DocumentValue<Configuration.SMS> {
        .record { reader in
            let url = reader.required("url", .webURL.withheld)
            let text = reader.required("body", .text.withheld)
            let authorization = secret("authorization", "delivery.sms", as: files.password, reader)
            let authority = reader.optional("ca_file", files.file)
            if let url, let address = WebAddress(url), !address.isEncrypted, !isInsecureAllowed,
                !NetworkHost.isLocal(address.host)
            {
                reader.report(
                    "is plain text to another machine: numbers and alerts would cross the network readably; https, "
                        + "unless broker.insecure is true", at: "url")
            }
            var body: GatewayBody?
            if let text {
                do throws(GatewayBody.Fault) {
                    body = try GatewayBody(text)
                } catch {
                    switch error {
                    case .missing(let place): reader.report("has no {\(place)} in it", at: "body")
                    case .notJSON:
                        reader.report(
                            "is no JSON once {to} and {text} are filled in: they stand between quotes", at: "body")
                    }
                }
            }
            guard let url, let body else { return nil }
            return Configuration.SMS(url: url, body: body, authorization: authorization, caFile: authority)
        }
    }

    private func smtp(isInsecureAllowed: Bool) -> DocumentValue<Configuration.SMTP> {
        .record { reader in
            let host = reader.required("host", .hostName)
            let port = reader.optional("port", .port(from: 1)) ?? 25
            let from = reader.required("from", .email)
            let username = reader.optional("username", .text)
            let password = secret("password", "delivery.smtp", as: files.password, reader)
            let security = reader.optional("tls", .choice(Configuration.SMTP.Security.self)) ?? .none
            let authority = reader.optional("ca_file", files.file)
            if password != nil, username == nil { reader.report("wants a username beside it", at: "password_file") }
            if username != nil, password == nil, reader["password_file"] == nil {
                reader.report("wants password_file beside it", at: "username")
            }
            if authority != nil, security == .none { reader.report("is of no use without tls", at: "ca_file") }
            if let from, !from.utf8.allSatisfy({ $0 < 0x80 }) {
                reader.report("must be ASCII: not every mail server takes anything else", at: "from")
            }
            guard let host, let from else { return nil }
            if security == .none, !isInsecureAllowed, !NetworkHost.isLocal(host) {
                reader.report(
                    "\(host) is not this machine: say tls: starttls or implicit; plain text is refused unless "
                        + "broker.insecure is true", at: "host")
            }
            return Configuration.SMTP(
                host: host, port: port, from: from, username: username, password: password, security: security,
                caFile: authority)
        }
    }

    private var mqtt: DocumentValue<Configuration.WardDisplays> {
        .record { reader in
            Configuration.WardDisplays(sites: reader.optional("sites", self.sites) ?? .init(isAll: true, codes: []))
        }
    }
}
