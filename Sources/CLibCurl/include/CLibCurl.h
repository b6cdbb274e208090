// HTTP exchanges over libcurl, whose own calls are variadic, so that Swift cannot make them.
#ifndef STARDUST_CLIBCURL_H
#define STARDUST_CLIBCURL_H
#include <stddef.h>
#include <stdint.h>

/// A connection, or none yet. Used by one thread at a time.
typedef struct stardust_http stardust_http;

/// One exchange. Text ends with a zero byte and is copied; NULL stands for nothing.
typedef struct {
    const char *method;
    const char *url;
    /// The Unix socket to connect to instead of the URL's host.
    const char *socket;
    /// The certificates to trust instead of the system's.
    const char *certificates;
    /// Lines of the header, `name: value`.
    const char *const *lines;
    size_t line_count;
    /// Bytes of the body; -1 for none.
    int64_t body_bytes;
    /// Milliseconds in which a connection must stand.
    long connect_ms;
    /// Seconds without a byte, in either direction, after which the exchange ends.
    long silent_s;
    /// Gives up to `count` bytes of the body. Returns how many, or SIZE_MAX to end the exchange.
    size_t (*give)(void *context, uint8_t *bytes, size_t count);
    /// Takes bytes of the answer's body. Returns whether it goes on.
    int (*take)(void *context, const uint8_t *bytes, size_t count);
    /// Takes a line of the answer's header, with its end.
    void (*header)(void *context, const uint8_t *bytes, size_t count);
    /// Whether the exchange goes on; asked at least once a second.
    int (*goes_on)(void *context);
    void *context;
} stardust_http_request;

stardust_http *stardust_http_new(void);
void stardust_http_free(stardust_http *);

/// Runs one exchange. Returns 0 and the answer's status, or libcurl's code with `message`, which has
/// room for 256 bytes.
int stardust_http_run(
    stardust_http *, const stardust_http_request *, int *status, char *message);

/// Whether a code says that the server's certificate is not trusted.
int stardust_http_is_distrust(int code);

/// Seconds since 1970 of a header's date (RFC 9110 section 5.6.7); -1 if it is none.
int64_t stardust_http_date(const char *text);
#endif
