// libcurl's setters and getters are variadic, which Swift can't call: this target gives them fixed signatures. Its
// callbacks live here too, since they run in the middle of libcurl and need nothing of Swift.
#ifndef HOMEWARD_CCURL_H
#define HOMEWARD_CCURL_H
#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value);
/// libcurl copies the string.
CURLcode ccurl_set_string(CURL *easy, CURLoption option, const char *value);
/// libcurl copies the bytes.
CURLcode ccurl_set_body(CURL *easy, const void *bytes, size_t count);
/// libcurl keeps the list: it must outlive the transfer.
CURLcode ccurl_set_list(CURL *easy, CURLoption option, struct curl_slist *list);
CURLcode ccurl_get_long(CURL *easy, CURLINFO info, long *value);
CURLcode ccurl_get_offset(CURL *easy, CURLINFO info, curl_off_t *value);

CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value);

/// The next transfer that has ended, or NULL; it is still inside `multi`.
CURL *ccurl_next_finished(CURLM *multi, CURLcode *result);

/// What is kept of an answer.
struct ccurl_answer {
    /// The last header line of a final answer (not 1xx) has come: whatever happens to the body, the answer is known.
    bool headers_complete;
    size_t body_bytes;
};

/// Throws the body away and ends the transfer with CURLE_WRITE_ERROR once it is over `limit` bytes in all; `answer`
/// must stay where it is until the transfer has left `multi`.
CURLcode ccurl_keep_answer(CURL *easy, struct ccurl_answer *answer);

/// The most bytes of a body that are read.
extern const size_t ccurl_body_limit;

/// Refuses to open a socket to a link-local address (169.254.0.0/16, fe80::/10), where clouds keep the credentials of
/// the machine, whatever name led there.
CURLcode ccurl_refuse_link_local(CURL *easy);

/// A message on its way to a mail server; the bytes must outlive the transfer.
struct ccurl_message {
    const char *bytes;
    size_t count;
    size_t offset;
};

/// What a mail server said last, and to what.
struct ccurl_reply {
    /// The command that was sent before it, such as `RCPT`; `body` after the message itself; empty at the greeting.
    char command[8];
    /// The last line of it, without its end; empty while none has come.
    char text[256];
    /// QUIT was sent: what comes then is no answer to the message.
    bool over;
};

/// Both must stay where they are until the transfer has ended.
CURLcode ccurl_send_message(CURL *easy, struct ccurl_message *message);
CURLcode ccurl_keep_reply(CURL *easy, struct ccurl_reply *reply);

/// After a mail transfer: says nothing more will be read, so that closing the connection, which says QUIT and waits for
/// the answer with no regard to any deadline, doesn't wait for a server that gives none.
void ccurl_stop_reading(CURL *easy);

#endif
