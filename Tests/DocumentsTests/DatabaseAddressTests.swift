import Testing

@testable import Documents

@Suite struct DatabaseAddressTests {
    @Test(
        arguments: [
            ("postgresql://h@127.0.0.1:5432/homeward", ["127.0.0.1"], nil, false),
            ("postgres:///h?host=/run/postgresql", ["/run/postgresql"], nil, false),
            (
                "postgresql://a.example.org:5432,b.example.org/h?sslmode=verify-full",
                ["a.example.org", "b.example.org"],
                "verify-full", false
            ),
            ("postgresql://[::1]:5432/h", ["::1"], nil, false),
            ("postgresql://u:p@h/d", ["h"], nil, true),
            ("postgresql://u:@h/d", ["h"], nil, false),
            ("postgresql://u@h/d?p%61ssword=x", ["h"], nil, true),
            ("postgresql://%2Frun%2Fpg/d", ["/run/pg"], nil, false),
            ("postgresql://", [], nil, false),
            ("host=h user=u password=p", ["h"], nil, true),
            ("host = h password = 'a\\'b c'", ["h"], nil, true),
            ("host=h password=''", ["h"], nil, false),
            ("host='h' application_name='a password=x'", ["h"], nil, false),
            ("dbname=h sslmode=require", [], "require", false),
        ] as [(String, [String], String?, Bool)])
    func reads(url: String, hosts: [String], sslMode: String?, hasPassword: Bool) {
        let address = DatabaseAddress(url)
        #expect(address?.hosts == hosts)
        #expect(address?.sslMode == sslMode)
        #expect(address?.hasPassword == hasPassword)
    }

    @Test(arguments: [
        "", "homeward", "host", "host='h", "=h", "postgresql://%zz/d", "postgresql://h/d?sslmode",
        "postgresql://[::1/d",
    ])
    func refuses(url: String) { #expect(DatabaseAddress(url) == nil) }

    @Test(
        arguments: [
            ("postgresql://127.0.0.1/h", [:], false), ("postgresql://localhost/h", [:], false),
            ("dbname=h", [:], false),
            ("host=/run/postgresql", [:], false), ("postgresql://db/h", [:], true),
            ("postgresql://db/h?sslmode=prefer", [:], true), ("postgresql://db/h?sslmode=require", [:], false),
            ("postgresql://127.0.0.1,db/h", [:], true), ("postgresql://127.0.0.1.example.org/h", [:], true),
            ("dbname=h", ["PGHOST": "db"], true), ("dbname=h", ["PGHOST": "db", "PGSSLMODE": "verify-ca"], false),
            ("service=x", [:], true), ("postgresql://h/d?hostaddr=10.0.0.1", [:], true),
        ] as [(String, [String: String], Bool)])
    func plainTextToElsewhere(url: String, environment: [String: String], isPlain: Bool) {
        #expect(DatabaseAddress(url)?.isPlainTextToElsewhere(environment) == isPlain)
    }

    @Test(
        arguments: [
            ("postgresql://db/h?sslmode=verify-full", [:], false), ("postgresql://db/h?sslmode=verify-ca", [:], true),
            ("postgresql://db/h?sslmode=require", [:], true), ("postgresql://127.0.0.1/h", [:], false),
            ("postgresql://db/h", ["PGSSLMODE": "verify-full"], false),
        ] as [(String, [String: String], Bool)])
    func unverified(url: String, environment: [String: String], isUnverified: Bool) {
        #expect(DatabaseAddress(url)?.isUnverified(environment) == isUnverified)
    }
}
