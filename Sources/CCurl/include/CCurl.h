// curl_easy_setopt is variadic, which Swift can't call: this target gives it fixed signatures.
#ifndef HOMEWARD_CCURL_H
#define HOMEWARD_CCURL_H
#include <curl/curl.h>
#endif
