import CCurl
import Clinical

/// Several HTTP requests at once over one curl multi handle.
///
/// One thread calls everything but `wake`, which any thread may; hence `@unchecked Sendable`: libcurl allows
/// `curl_multi_wakeup` from everywhere, and nothing else here is shared. When the last reference goes, requests under
/// way are dropped.
@safe final class Transfers<Tag: Sendable>: @unchecked Sendable {
    /// How requests are made; the same for all.
    struct Settings: Sendable {
        var deadline: Interval
    }

    /// One request under way and what libcurl borrows for it.
    @safe private final class Transfer {
        let easy: UnsafeMutableRawPointer
        let tag: Tag
        var headers: UnsafeMutablePointer<curl_slist>?
        let answer = UnsafeMutablePointer<ccurl_answer>.allocate(capacity: 1)

        init(easy: UnsafeMutableRawPointer, tag: Tag) {
            unsafe self.easy = easy
            self.tag = tag
            unsafe answer.initialize(to: ccurl_answer())
        }

        /// Only after the handle has left the multi handle.
        deinit {
            unsafe curl_easy_cleanup(easy)
            unsafe curl_slist_free_all(headers)
            unsafe answer.deallocate()
        }
    }

    private let settings: Settings
    private let multi: UnsafeMutableRawPointer
    /// By the address of its easy handle.
    private var underWay: [UInt: Transfer] = [:]

    /// Throws when libcurl can't start, as without memory.
    init(_ settings: Settings, connectionsKept: Int = 16) throws(TransfersUnavailable) {
        guard curlIsReady, let multi = unsafe curl_multi_init() else { throw TransfersUnavailable() }
        self.settings = settings
        unsafe self.multi = unsafe multi
        _ = unsafe ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, connectionsKept)
    }

    deinit {
        for transfer in underWay.values { _ = unsafe curl_multi_remove_handle(multi, transfer.easy) }
        underWay.removeAll()
        _ = unsafe curl_multi_cleanup(multi)
    }

    var count: Int { underWay.count }

    /// Begins `request`. Throws when libcurl has no memory or refuses an option; nothing is under way then.
    func begin(_ request: HTTPRequest, tag: Tag) throws(TransfersUnavailable) {
        guard let easy = unsafe curl_easy_init() else { throw TransfersUnavailable() }
        let transfer = unsafe Transfer(easy: easy, tag: tag)
        guard prepare(transfer, request), unsafe curl_multi_add_handle(multi, easy) == CURLM_OK else {
            throw TransfersUnavailable()
        }
        underWay[UInt(bitPattern: easy)] = transfer
    }

    /// Moves everything on that can move, and returns what has ended. Never waits.
    func step() -> [(tag: Tag, result: HTTPResult)] {
        var running: Int32 = 0
        _ = unsafe curl_multi_perform(multi, &running)
        var ended: [(tag: Tag, result: HTTPResult)] = []
        var code = CURLE_OK
        while let easy = unsafe ccurl_next_finished(multi, &code) {
            let transfer = underWay.removeValue(forKey: UInt(bitPattern: easy))
            let result = unsafe Self.result(of: easy, code, transfer?.answer.pointee)
            _ = unsafe curl_multi_remove_handle(multi, easy)
            guard let transfer else { continue }
            ended.append((transfer.tag, result))
        }
        return ended
    }

    /// Returns when a request can move on, when `wake` was called, or after `milliseconds`.
    func wait(milliseconds: Int32) {
        _ = unsafe curl_multi_poll(multi, nil, 0, milliseconds, nil)
    }

    /// From any thread.
    func wake() { _ = unsafe curl_multi_wakeup(multi) }

    private func prepare(_ transfer: Transfer, _ request: HTTPRequest) -> Bool {
        let easy = unsafe transfer.easy
        // "Expect:" without a value keeps libcurl from waiting for a 100 that few servers send.
        for line in request.headers.map({ "\($0.name): \($0.value)" }) + ["Expect:", "Accept: */*"] {
            guard let longer = unsafe curl_slist_append(transfer.headers, line) else { return false }
            unsafe transfer.headers = unsafe longer
        }
        let milliseconds = Int(max(1, settings.deadline.microseconds / 1000))
        let numbers: [(CURLoption, Int)] = [
            // No signals: this is a thread among others.
            (CURLOPT_NOSIGNAL, 1),
            (request.isGet ? CURLOPT_HTTPGET : CURLOPT_POST, 1),
            (CURLOPT_FOLLOWLOCATION, 0),
            (CURLOPT_TIMEOUT_MS, milliseconds),
            (CURLOPT_CONNECTTIMEOUT_MS, milliseconds),
            // A name server that hangs must not hold this thread when the deadline is over.
            (CURLOPT_QUICK_EXIT, 1),
            (CURLOPT_SSL_VERIFYPEER, 1),
            (CURLOPT_SSL_VERIFYHOST, 2),
            // A changed ca_file is in force within a minute.
            (CURLOPT_CA_CACHE_TIMEOUT, 60),
            (CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1),
            (CURLOPT_TCP_KEEPALIVE, 1),
        ]
        var strings: [(CURLoption, String)] = [
            (CURLOPT_URL, request.address.text),
            (CURLOPT_PROTOCOLS_STR, "http,https"),
            // An empty proxy also overrides the environment's.
            (CURLOPT_PROXY, ""),
            (CURLOPT_USERAGENT, "homeward"),
        ]
        if let file = request.caFile { strings.append((CURLOPT_CAINFO, file)) }
        return unsafe numbers.allSatisfy { unsafe ccurl_set_long(easy, $0.0, $0.1) == CURLE_OK }
            && strings.allSatisfy { unsafe ccurl_set_string(easy, $0.0, $0.1) == CURLE_OK }
            && ccurl_set_list(easy, CURLOPT_HTTPHEADER, transfer.headers) == CURLE_OK
            && (request.isGet
                || request.body.withUnsafeBytes { unsafe ccurl_set_body(easy, $0.baseAddress, $0.count) } == CURLE_OK)
            && ccurl_keep_answer(easy, transfer.answer) == CURLE_OK
            && ccurl_refuse_link_local(easy) == CURLE_OK
    }

    private static func result(
        of easy: UnsafeMutableRawPointer, _ code: CURLcode, _ answer: ccurl_answer?
    ) -> HTTPResult {
        var status = 0
        if answer?.headers_complete == true,
            unsafe ccurl_get_long(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK, status >= 200
        {
            var seconds: curl_off_t = 0
            _ = unsafe ccurl_get_offset(easy, CURLINFO_RETRY_AFTER, &seconds)
            return .answered(status: status, retryAfter: seconds > 0 ? Int64(seconds) : nil)
        }
        return .unanswered(code == CURLE_OK ? "no answer" : unsafe String(cString: curl_easy_strerror(code)))
    }
}

// libcurl wants this once, before anything else; a global is made once, whichever thread comes first.
let curlIsReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

/// libcurl could not make a handle or take an option: there is no memory.
struct TransfersUnavailable: Error {}
