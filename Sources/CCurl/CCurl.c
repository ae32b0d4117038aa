#include "CCurl.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

const size_t ccurl_body_limit = 64 * 1024;

CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value) { return curl_easy_setopt(easy, option, value); }

CURLcode ccurl_set_string(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}

CURLcode ccurl_set_body(CURL *easy, const void *bytes, size_t count) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
    return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, bytes) : code;
}

CURLcode ccurl_set_list(CURL *easy, CURLoption option, struct curl_slist *list) {
    return curl_easy_setopt(easy, option, list);
}

CURLcode ccurl_get_long(CURL *easy, CURLINFO info, long *value) { return curl_easy_getinfo(easy, info, value); }

CURLcode ccurl_get_offset(CURL *easy, CURLINFO info, curl_off_t *value) {
    return curl_easy_getinfo(easy, info, value);
}

CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

CURL *ccurl_next_finished(CURLM *multi, CURLcode *result) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) continue;
        *result = message->data.result;
        return message->easy_handle;
    }
    return NULL;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
    struct ccurl_answer *answer = context;
    (void)bytes;
    answer->body_bytes += size * count;
    return answer->body_bytes > ccurl_body_limit ? 0 : size * count;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context) {
    struct ccurl_answer *answer = context;
    size_t length = size * count;
    // libcurl hands over whole lines: status line first, an empty line last. An interim answer (1xx) goes through this
    // too; the status line of the next one takes it back.
    if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
        answer->headers_complete = false;
    else if ((length == 2 && bytes[0] == '\r' && bytes[1] == '\n') || (length == 1 && bytes[0] == '\n'))
        answer->headers_complete = true;
    return length;
}

CURLcode ccurl_keep_answer(CURL *easy, struct ccurl_answer *answer) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_HEADERDATA, answer);
    return code;
}

static bool is_link_local(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;
        return (ntohl(four->sin_addr.s_addr) >> 16) == 0xa9fe;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
        const unsigned char *bytes = six->sin6_addr.s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) return bytes[12] == 0xa9 && bytes[13] == 0xfe;
        return IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr);
    }
    return false;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)context;
    (void)purpose;
    if (is_link_local(&address->addr)) return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

CURLcode ccurl_refuse_link_local(CURL *easy) {
    return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
}

static size_t give_message(char *buffer, size_t size, size_t count, void *context) {
    struct ccurl_message *message = context;
    size_t room = size * count;
    size_t left = message->count - message->offset;
    size_t part = left < room ? left : room;
    memcpy(buffer, message->bytes + message->offset, part);
    message->offset += part;
    return part;
}

CURLcode ccurl_send_message(CURL *easy, struct ccurl_message *message) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_message);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_READDATA, message);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)message->count);
    return code;
}

static void keep(char *target, size_t capacity, const char *bytes, size_t length) {
    while (length > 0 && (bytes[length - 1] == '\r' || bytes[length - 1] == '\n')) length--;
    if (length >= capacity) length = capacity - 1;
    memcpy(target, bytes, length);
    target[length] = 0;
}

static int take_conversation(CURL *easy, curl_infotype type, char *bytes, size_t length, void *context) {
    static const char *const commands[] = {"EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"};
    struct ccurl_reply *reply = context;
    (void)easy;
    if (type == CURLINFO_HEADER_OUT && length >= 4 && memcmp(bytes, "QUIT", 4) == 0) reply->over = true;
    if (reply->over) return 0;
    switch (type) {
    case CURLINFO_HEADER_IN:
        keep(reply->text, sizeof reply->text, bytes, length);
        break;
    case CURLINFO_HEADER_OUT:
        // Only the commands' own words: what follows AUTH is a password.
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
            size_t count = strlen(commands[i]);
            if (length < count || memcmp(bytes, commands[i], count) != 0) continue;
            keep(reply->command, sizeof reply->command, commands[i], count);
            reply->text[0] = 0;
        }
        break;
    case CURLINFO_DATA_OUT:
        keep(reply->command, sizeof reply->command, "body", 4);
        reply->text[0] = 0;
        break;
    default:
        break;
    }
    return 0;
}

CURLcode ccurl_keep_reply(CURL *easy, struct ccurl_reply *reply) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, take_conversation);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_DEBUGDATA, reply);
    return code;
}

void ccurl_stop_reading(CURL *easy) {
    curl_socket_t active = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &active) == CURLE_OK && active != CURL_SOCKET_BAD)
        shutdown(active, SHUT_RD);
}
