#include "CLibCurl.h"
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct stardust_http {
    CURL *curl;
};

static void prepare(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

stardust_http *stardust_http_new(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare);
    stardust_http *http = calloc(1, sizeof *http);
    if (http) http->curl = curl_easy_init();
    if (http && !http->curl) {
        free(http);
        http = NULL;
    }
    return http;
}

void stardust_http_free(stardust_http *http) {
    if (!http) return;
    curl_easy_cleanup(http->curl);
    free(http);
}

static size_t give(char *bytes, size_t size, size_t count, void *request) {
    const stardust_http_request *own = request;
    size_t given = own->give(own->context, (uint8_t *)bytes, size * count);
    return given == SIZE_MAX ? CURL_READFUNC_ABORT : given;
}

static size_t take(char *bytes, size_t size, size_t count, void *request) {
    const stardust_http_request *own = request;
    return own->take(own->context, (const uint8_t *)bytes, size * count) ? size * count : 0;
}

static size_t header(char *bytes, size_t size, size_t count, void *request) {
    const stardust_http_request *own = request;
    own->header(own->context, (const uint8_t *)bytes, size * count);
    return size * count;
}

static int progress(
    void *request, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    const stardust_http_request *own = request;
    return own->goes_on(own->context) ? 0 : 1;
}

int stardust_http_run(
    stardust_http *http, const stardust_http_request *request, int *status, char *message) {
    CURL *curl = http->curl;
    // Keeps the connection, and forgets everything else.
    curl_easy_reset(curl);
    struct curl_slist *lines = NULL;
    int is_whole = 1;
    for (size_t index = 0; index < request->line_count; index++) {
        struct curl_slist *longer = curl_slist_append(lines, request->lines[index]);
        if (!longer) is_whole = 0;
        else lines = longer;
    }
    message[0] = 0;
    void *context = (void *)request;
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, request->connect_ms);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, request->silent_s);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, context);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, context);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, context);
    if (request->socket) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, request->socket);
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    }
    if (request->certificates) curl_easy_setopt(curl, CURLOPT_CAINFO, request->certificates);
    if (request->body_bytes >= 0) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_bytes);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
        curl_easy_setopt(curl, CURLOPT_READDATA, context);
    } else if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    CURLcode code = is_whole ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
    long answered = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answered);
    *status = (int)answered;
    if (code != CURLE_OK && !message[0]) {
        strncpy(message, curl_easy_strerror(code), 255);
        message[255] = 0;
    }
    // The buffer is the caller's.
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(lines);
    return (int)code;
}

int stardust_http_is_distrust(int code) {
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_SSL_ISSUER_ERROR;
}

int64_t stardust_http_date(const char *text) { return curl_getdate(text, NULL); }
