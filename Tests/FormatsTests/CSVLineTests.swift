import Formats
import Testing

@Suite struct CSVLineTests {
    @Test(arguments: [
        ("a", "\"a\""), ("", "\"\""), ("a\"b,c\nd", "\"a\"\"b,c\nd\""), ("=1+1", "\"'=1+1\""), ("+44 1", "\"'+44 1\""),
        ("+44", "\"'+44\""), ("-2.5", "\"-2.5\""), ("-2+3", "\"'-2+3\""), ("@SUM(A1)", "\"'@SUM(A1)\""),
        ("\t=1", "\"'\t=1\""), ("  =1", "\"'  =1\""), ("\u{FF1D}1", "\"'\u{FF1D}1\""),
        ("\u{FEFF}=1", "\"'\u{FEFF}=1\""),
        ("\r=1", "\"'\r=1\""), ("2026-11-23", "\"2026-11-23\""), ("a=1", "\"a=1\""), ("\"=1", "\"\"\"=1\""),
    ])
    func aFieldIsTextAndNoFormula(field: String, written: String) {
        #expect(CSVLine.text([field]) == written + "\r\n")
    }

    @Test func whatIsNotThereIsEmpty() { #expect(CSVLine.text(["a", nil, "b"]) == "\"a\",,\"b\"\r\n") }
}
