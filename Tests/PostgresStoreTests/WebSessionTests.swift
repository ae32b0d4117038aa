import Alerting
import Clinical
import Cryptography
import Foundation
import Ingestion
import PostgresStore
import Registry
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// Signing in, lock-out, and how sessions end.
    @Suite struct WebSessionTests: WebWard {
        @Test func aSessionIsItsCareManagersUntilItEnds() throws {
            let database = try ward()
            let reader = WebReader(database.configuration)
            let session = try signIn(database, "cm-01")
            let viewer = try #require(try reader.viewer(session, isActivity: true))
            #expect(viewer.careManager == code("cm-01") && viewer.site == code("north") && viewer.role == .careManager)
            #expect(viewer.siteName == "North Practice" && viewer.timeZone == "Europe/Paris")
            #expect(
                try database.value(
                    "SELECT count(*) FROM homeward.web_session WHERE encode(token_hash, 'hex') = "
                        + "'\(hexadecimal(session.bytes))'") == "0", "the token itself is not stored")
            let other = try signIn(database, "cm-01")
            try reader.end(session, everywhere: false)
            #expect(try reader.viewer(session, isActivity: true) == nil)
            #expect(try reader.viewer(other, isActivity: true) != nil)
            let third = try signIn(database, "cm-01")
            try reader.end(other, everywhere: true)
            #expect(try reader.viewer(third, isActivity: true) == nil)
            for change in [
                "UPDATE homeward.web_session SET idle_until = now() WHERE ended_at IS NULL",
                "UPDATE homeward.web_session SET expires_at = now() WHERE ended_at IS NULL",
            ] {
                let again = try signIn(database, "cm-01")
                #expect(try reader.viewer(again, isActivity: true) != nil)
                try database.query(change)
                #expect(try reader.viewer(again, isActivity: true) == nil)
                try database.query("UPDATE homeward.web_session SET ended_at = now() WHERE ended_at IS NULL")
            }
            let last = try signIn(database, "cm-01")
            #expect(try isDone(WebAccounts(database.configuration).disable(code("cm-01"), by: "root")))
            #expect(try reader.viewer(last, isActivity: true) == nil)
        }

        @Test func usePutsOffTheIdleEndAndThePageByItselfDoesNot() throws {
            let database = try ward()
            let reader = WebReader(database.configuration)
            let session = try signIn(database, "cm-01")
            func idle() throws -> String? {
                try database.value("SELECT idle_until > now() + interval '10 minutes' FROM homeward.web_session")
            }
            try database.query("UPDATE homeward.web_session SET idle_until = now() + interval '2 minutes'")
            #expect(try reader.viewer(session, isActivity: false) != nil)
            #expect(try idle() == "f")
            #expect(try reader.viewer(session, isActivity: true) != nil)
            #expect(try idle() == "t")
        }

        @Test func signingInNeedsAllThreeAndLocksOut() throws {
            let database = try ward()
            let accounts = WebAccounts(database.configuration)
            #expect(try isDone(accounts.add(code("cm-01"), password: Self.password, secret: Self.secret, by: "root")))
            guard
                case .thereAlready = try accounts.add(
                    code("cm-01"), password: Self.password, secret: Self.secret, by: "root"),
                case .noSuchCareManager = try accounts.add(
                    code("cm-77"), password: Self.password, secret: Self.secret, by: "root")
            else {
                Issue.record("an account twice, or of nobody")
                return
            }
            func attempt(_ name: String, _ password: [UInt8], _ digits: String) throws -> Bool {
                isSignedIn(
                    try accounts.signIn(SignInAttempt(careManager: name, password: password, oneTimeCode: digits)))
            }
            let digits = try oneTimeCode(database, "cm-01")
            #expect(try !attempt("cm-01", Self.password, "000000x"))
            #expect(try !attempt("cm-01", Array("correct horse batterx".utf8), digits))
            #expect(try !attempt("cm-02", Self.password, digits))
            #expect(try !attempt("", [], ""))
            #expect(try !attempt("cm-01'; --", Self.password, digits))
            #expect(try attempt("cm-01", Self.password, digits))
            #expect(try !attempt("cm-01", Self.password, digits), "a code is taken once")
            for _ in 0..<6 { #expect(try !attempt("cm-01", [1], "")) }
            // Locked out: also with the right ones, and without a count.
            let failures = try database.value("SELECT failures FROM homeward.web_address")
            #expect(try !attempt("cm-01", Self.password, try oneTimeCode(database, "cm-01")))
            #expect(try database.value("SELECT failures FROM homeward.web_address") == failures)
            #expect(
                try database.value(
                    "SELECT locked_until BETWEEN now() AND now() + interval '15 minutes' FROM homeward.web_address")
                    == "t")
            try database.query("UPDATE homeward.web_address SET locked_until = now(), failures = 40")
            #expect(try !attempt("cm-01", [1], ""))
            #expect(
                try database.value("SELECT locked_until <= now() + interval '15 minutes' FROM homeward.web_address")
                    == "t")
            try database.query("UPDATE homeward.web_address SET locked_until = now()")
            #expect(try attempt("cm-01", Self.password, try oneTimeCode(database, "cm-01")))
            #expect(try database.value("SELECT failures FROM homeward.web_address") == "0")
            #expect(try isDone(accounts.disable(code("cm-01"), by: "root")))
            #expect(try !attempt("cm-01", Self.password, try oneTimeCode(database, "cm-01")))
        }

        @Test func aStrangerLocksOutStrangersAndNotWhoComesFromWhereTheyAlwaysDo() throws {
            let database = try ward()
            let accounts = WebAccounts(database.configuration)
            _ = try accounts.add(code("cm-01"), password: Self.password, secret: Self.secret, by: "root")
            func attempt(from address: String, isRight: Bool) throws -> Bool {
                isSignedIn(
                    try accounts.signIn(
                        SignInAttempt(
                            careManager: "cm-01", password: isRight ? Self.password : [1],
                            oneTimeCode: try oneTimeCode(database, "cm-01"), address: address)))
            }
            #expect(try attempt(from: "192.0.2.1", isRight: true))
            // From anywhere, each time another place.
            for number in 0..<8 { #expect(try !attempt(from: "198.51.100.\(number)", isRight: false)) }
            #expect(try database.value("SELECT failures, locked_until > now() FROM homeward.web_account") == "5")
            #expect(try !attempt(from: "203.0.113.1", isRight: true), "a new place waits as well")
            #expect(try attempt(from: "192.0.2.1", isRight: true), "the known one does not")
            #expect(
                try database.query("SELECT address, failures FROM homeward.web_address") == [["192.0.2.1", "0"]],
                "strangers leave no row")
            // What was is forgotten by and by.
            try database.query(
                "UPDATE homeward.web_account SET failed_at = now() - interval '2 hours', locked_until = now() - interval '1 hour'"
            )
            #expect(try !attempt(from: "198.51.100.1", isRight: false))
            #expect(try database.query("SELECT failures, locked_until FROM homeward.web_account") == [["1", nil]])
            #expect(try attempt(from: "203.0.113.1", isRight: true))
            // Their own failures count.
            for _ in 0..<5 { #expect(try !attempt(from: "192.0.2.1", isRight: false)) }
            #expect(try !attempt(from: "192.0.2.1", isRight: true))
            #expect(try attempt(from: "203.0.113.1", isRight: true))
        }

        /// One guess at the end of each lock-out: the wait grows until it is the longest, and stays so.
        @Test func whoGuessesAtEachEndWaitsLongerEachTime() throws {
            let database = try ward()
            let accounts = WebAccounts(database.configuration)
            _ = try accounts.add(code("cm-01"), password: Self.password, secret: Self.secret, by: "root")
            try database.query("UPDATE homeward.web_account SET failures = 4, failed_at = now()")
            var waits: [String?] = []
            for _ in 0..<8 {
                _ = try accounts.signIn(SignInAttempt(careManager: "cm-01", password: [1], oneTimeCode: ""))
                let wait = "extract(epoch FROM locked_until - failed_at)::int4"
                waits.append(try database.value("SELECT \(wait) FROM homeward.web_account"))
                // As long ago as it lasts.
                try database.query(
                    """
                    UPDATE homeward.web_account SET failed_at = failed_at - (locked_until - now()), locked_until = now()
                    """)
            }
            #expect(waits == ["30", "60", "120", "240", "480", "900", "900", "900"])
            // An hour of quiet after the end, and half of them are gone each quarter.
            try database.query(
                "UPDATE homeward.web_account SET failures = 16, failed_at = now() - interval '2 hours', locked_until = now() - interval '1 hour'"
            )
            _ = try accounts.signIn(SignInAttempt(careManager: "cm-01", password: [1], oneTimeCode: ""))
            #expect(try database.query("SELECT failures, locked_until FROM homeward.web_account") == [["2", nil]])
        }

        @Test func aResetEndsSessionsAndForgetsWhereTheyCameFrom() throws {
            let database = try ward()
            let session = try signIn(database, "cm-01")
            let accounts = WebAccounts(database.configuration)
            try database.query("UPDATE homeward.web_account SET disabled_at = now()")
            #expect(
                try isDone(accounts.reset(code("cm-01"), password: Self.password, secret: Self.secret, by: "root")))
            #expect(try WebReader(database.configuration).viewer(session, isActivity: true) == nil)
            #expect(
                try database.query("SELECT disabled_at, failures, locked_until FROM homeward.web_account")
                    == [[nil, "0", nil]])
            #expect(try database.value("SELECT count(*) FROM homeward.web_address") == "0")
            guard
                case .noSuchAccount = try accounts.reset(
                    code("lead-01"), password: Self.password, secret: Self.secret, by: "root")
            else {
                Issue.record("an account of nobody was reset")
                return
            }
        }

        @Test func whatThePageAsksForByItselfIsALookNowAndThen() throws {
            let database = try ward()
            let reader = WebReader(database.configuration)
            let session = try signIn(database, "cm-01")
            func looks() throws -> String? {
                try database.value("SELECT count(*) FROM homeward.read_audit WHERE what = 'worklist'")
            }
            for _ in 0..<3 { #expect(try reader.looker(session, isActivity: false) != nil) }
            #expect(try looks() == "1")
            for _ in 0..<2 { #expect(try reader.looker(session, isActivity: true) != nil) }
            #expect(try looks() == "3")
            try database.query("UPDATE homeward.web_session SET listed_at = now() - interval '11 minutes'")
            #expect(try reader.looker(session, isActivity: false) != nil)
            #expect(try looks() == "4")
            try reader.end(session, everywhere: true)
            try reader.end(session, everywhere: true)
            #expect(
                try database.value("SELECT count(*) FROM homeward.read_audit WHERE what = 'signed-out'") == "1")
            #expect(try reader.looker(session, isActivity: false) == nil)
            #expect(try looks() == "4")
        }
    }
}
