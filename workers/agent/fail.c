#include "fail.h"

#include "num.h"
#include "utf8.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LOWER_MAX = 2048 }; /* of a provider's message, patterns are looked for in this much */

static const struct {
    const char *name, *kind;
    bool retry, next;
} rows[FAIL_REASON_COUNT] = {
    [FAIL_NONE] = {"none", "unknown", false, false},
    [FAIL_RATE_LIMIT] = {"rate_limit", "rate_limit", true, true},
    [FAIL_OVERLOADED] = {"overloaded", "rate_limit", true, true},
    [FAIL_SERVER] = {"server_error", "unknown", true, true},
    [FAIL_NETWORK] = {"timeout", "timeout", true, true},
    [FAIL_TIMEOUT] = {"timeout", "timeout", true, true},
    [FAIL_INTERRUPTED] = {"interrupted", "unknown", true, true},
    [FAIL_PROTOCOL] = {"protocol", "unknown", true, true},
    [FAIL_TOO_LARGE] = {"too_large", "unknown", false, true},
    [FAIL_MEMORY] = {"out_of_memory", "unknown", true, false},
    [FAIL_EMPTY] = {"empty_response", "unknown", true, true},
    [FAIL_BILLING] = {"billing", "unknown", false, true},
    [FAIL_AUTH] = {"auth", "unknown", false, true},
    [FAIL_AUTH_PERMANENT] = {"auth_permanent", "unknown", false, true},
    [FAIL_MODEL_NOT_FOUND] = {"model_not_found", "unknown", false, true},
    [FAIL_FORMAT] = {"format", "unknown", false, false},
    [FAIL_CONTEXT] = {"context_overflow", "context_length", false, false},
    [FAIL_REFUSAL] = {"refusal", "refusal", false, false},
    [FAIL_CONFIG] = {"config", "unknown", false, true},
    [FAIL_UNKNOWN] = {"unknown", "unknown", false, true},
};

/* Structured codes, wherever a provider puts them: code, type or status of the error object. */
static const struct {
    const char *code;
    enum fail_reason reason;
} codes[] = {
    {"context_length_exceeded", FAIL_CONTEXT},
    {"request_too_large", FAIL_CONTEXT},
    {"exceed_context_size_error", FAIL_CONTEXT},
    {"insufficient_quota", FAIL_BILLING},
    {"billing_error", FAIL_BILLING},
    {"rate_limit_exceeded", FAIL_RATE_LIMIT},
    {"rate_limit_error", FAIL_RATE_LIMIT},
    {"RESOURCE_EXHAUSTED", FAIL_RATE_LIMIT},
    {"overloaded_error", FAIL_OVERLOADED},
    {"UNAVAILABLE", FAIL_OVERLOADED},
    {"invalid_api_key", FAIL_AUTH_PERMANENT},
    {"permission_error", FAIL_AUTH_PERMANENT},
    {"PERMISSION_DENIED", FAIL_AUTH_PERMANENT},
    {"authentication_error", FAIL_AUTH},
    {"UNAUTHENTICATED", FAIL_AUTH},
    {"model_not_found", FAIL_MODEL_NOT_FOUND},
    {"not_found_error", FAIL_MODEL_NOT_FOUND},
    {"NOT_FOUND", FAIL_MODEL_NOT_FOUND},
    {"timeout_error", FAIL_TIMEOUT},
    {"DEADLINE_EXCEEDED", FAIL_TIMEOUT},
    {"api_error", FAIL_SERVER},
    {"server_error", FAIL_SERVER},
    {"INTERNAL", FAIL_SERVER},
    {"content_filter", FAIL_REFUSAL},
    {"content_policy_violation", FAIL_REFUSAL},
};

/* Messages, lower-cased; the first that is found decides. Rate limits stand before overflow: a
 * text about tokens per minute speaks of limits too. */
static const struct {
    const char *part;
    enum fail_reason reason;
} patterns[] = {
    {"tokens per minute", FAIL_RATE_LIMIT},
    {"(tpm)", FAIL_RATE_LIMIT},
    {"rate limit", FAIL_RATE_LIMIT},
    {"too many requests", FAIL_RATE_LIMIT},
    {"model_cooldown", FAIL_RATE_LIMIT},
    {"cooling down", FAIL_RATE_LIMIT},
    {"maximum context length", FAIL_CONTEXT},
    {"exceeds the context window", FAIL_CONTEXT},
    {"prompt is too long", FAIL_CONTEXT},
    {"exceed context limit", FAIL_CONTEXT},
    {"input is too long for requested model", FAIL_CONTEXT},
    {"maximum prompt length is", FAIL_CONTEXT},
    {"reduce the length of the messages", FAIL_CONTEXT},
    {"exceeds the available context size", FAIL_CONTEXT},
    {"greater than the context length", FAIL_CONTEXT},
    {"context window exceeds limit", FAIL_CONTEXT},
    {"exceeded model token limit", FAIL_CONTEXT},
    {"context length exceeded", FAIL_CONTEXT},
    {"exceeds model context window", FAIL_CONTEXT},
    {"input token count", FAIL_CONTEXT},
    {"context overflow:", FAIL_CONTEXT},
    {"exceeded your current quota", FAIL_RATE_LIMIT},
    {"resource has been exhausted", FAIL_RATE_LIMIT},
    {"resource exhausted", FAIL_RATE_LIMIT},
    {"quota exceeded", FAIL_RATE_LIMIT},
    {"usage limit", FAIL_RATE_LIMIT},
    {"overloaded", FAIL_OVERLOADED},
    {"service unavailable", FAIL_OVERLOADED},
    {"high demand", FAIL_OVERLOADED},
    {"payment required", FAIL_BILLING},
    {"insufficient credits", FAIL_BILLING},
    {"insufficient balance", FAIL_BILLING},
    {"credit balance", FAIL_BILLING},
    {"incorrect api key", FAIL_AUTH},
    {"invalid token", FAIL_AUTH},
    {"unauthorized", FAIL_AUTH},
    {"timed out", FAIL_TIMEOUT},
    {"timeout", FAIL_TIMEOUT},
    {"deadline exceeded", FAIL_TIMEOUT},
};

const char *fail_reason_name(enum fail_reason reason)
{
    return rows[reason].name;
}

const char *fail_kind(enum fail_reason reason)
{
    return rows[reason].kind;
}

bool fail_retryable(const struct failure *f, uint64_t wait_max_ms)
{
    static const uint32_t never[] = {400, 401, 402, 403, 404, 413, 422};

    for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
        if (f->status == never[i])
            return false;
    return rows[f->reason].retry && f->retry_after_ms <= wait_max_ms;
}

bool fail_of_provider(const struct failure *f)
{
    return f->reason == FAIL_RATE_LIMIT || f->reason == FAIL_OVERLOADED ||
           f->reason == FAIL_SERVER || f->reason == FAIL_NETWORK || f->reason == FAIL_TIMEOUT ||
           f->reason == FAIL_INTERRUPTED;
}

bool fail_try_next(const struct failure *f)
{
    return rows[f->reason].next;
}

/* No control characters, and no half character at the end. */
static void tidy(char *s)
{
    struct utf8 u = {0};
    size_t whole = 0, n = strlen(s);

    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            s[i] = ' ';
        if (!utf8_feed(&u, view_of(s + i, 1))) {
            s[i] = '?';
            u = (struct utf8){0};
        }
        if (utf8_done(&u))
            whole = i + 1;
    }
    s[whole] = 0;
}

void fail_set(struct failure *f, enum fail_reason reason, const char *fmt, ...)
{
    va_list ap;

    *f = (struct failure){.reason = reason};
    va_start(ap, fmt);
    (void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
    tidy(f->text);
}

static enum fail_reason by_code(struct view code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
        if (view_eq(code, view_str(codes[i].code)))
            return codes[i].reason;
    return FAIL_NONE;
}

static enum fail_reason by_status(uint32_t status)
{
    switch (status) {
    case 401:
    case 403:
        return FAIL_AUTH;
    case 402:
        return FAIL_BILLING;
    case 404:
        return FAIL_MODEL_NOT_FOUND;
    case 408:
    case 499:
    case 504:
    case 522:
    case 524:
        return FAIL_TIMEOUT;
    case 429:
        return FAIL_RATE_LIMIT;
    case 529:
        return FAIL_OVERLOADED;
    default:
        break;
    }
    if (status >= 500)
        return FAIL_SERVER;
    if (status >= 400)
        return FAIL_FORMAT;
    return status >= 300 ? FAIL_CONFIG : FAIL_NONE; /* redirects are not followed */
}

static void lower(struct view v, char out[LOWER_MAX])
{
    size_t n = v.n < LOWER_MAX - 1 ? v.n : LOWER_MAX - 1;

    for (size_t i = 0; i < n; i++)
        out[i] = v.p[i] ? (char)tolower((unsigned char)v.p[i]) : ' ';
    out[n] = 0;
}

static enum fail_reason by_text(const char *low)
{
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        if (strstr(low, patterns[i].part))
            return patterns[i].reason;
    return FAIL_NONE;
}

/* "1.5s", "20ms", "2m": milliseconds, 0 when it is something else. */
static uint64_t duration_ms(const char *s)
{
    char *end;
    double v;

    if (!isdigit((unsigned char)*s))
        return 0;
    v = strtod(s, &end);
    if (!(v > 0) || v > 1e6)
        return 0;
    if (!strncmp(end, "ms", 2))
        return (uint64_t)v + 1;
    if (*end == 's' || *end == 0 || !strncmp(end, " s", 2))
        return (uint64_t)(v * 1000);
    return *end == 'm' ? (uint64_t)(v * 60000) : 0;
}

/* What the body says about when to come back. */
static uint64_t hint_ms(const json_t *error, const char *low)
{
    const char *at = strstr(low, "try again in ");
    uint64_t ms = at ? duration_ms(at + strlen("try again in ")) : 0;
    const json_t *detail;
    size_t i;

    json_array_foreach(json_object_get(error, "details"), i, detail)
    {
        struct view delay = json_view(detail, "retryDelay");

        if (delay.n)
            ms = duration_ms(delay.p);
    }
    return ms;
}

static enum fail_reason first(enum fail_reason a, enum fail_reason b)
{
    return a != FAIL_NONE ? a : b;
}

static void classify(struct failure *f, uint32_t status, const json_t *error, struct view message)
{
    char low[LOWER_MAX];
    enum fail_reason code = FAIL_NONE, text, by, reason;
    uint64_t wait;

    lower(message, low);
    text = by_text(low);
    by = by_status(status);
    code = first(by_code(json_view(error, "code")),
                 first(by_code(json_view(error, "type")), by_code(json_view(error, "status"))));
    reason = first(code, first(by, text));
    /* What a 400 or 413 means, only its text says; an overflow hides behind many a status. */
    if (code == FAIL_NONE && (text == FAIL_CONTEXT || by == FAIL_FORMAT || by == FAIL_SERVER))
        reason = first(text, by);
    if (reason == FAIL_NONE)
        reason = FAIL_UNKNOWN;
    wait = hint_ms(error, low);
    if (status)
        fail_set(f, reason, "HTTP %u%s%.*s", status, message.n ? ": " : "",
                 (int)(message.n < FAIL_TEXT_MAX ? message.n : FAIL_TEXT_MAX), message.p);
    else
        fail_set(f, reason, "%.*s", (int)(message.n < FAIL_TEXT_MAX ? message.n : FAIL_TEXT_MAX),
                 message.n ? message.p : "");
    if (!f->text[0])
        fail_set(f, reason, "the provider reported an error without a message");
    f->status = status;
    f->retry_after_ms = wait;
}

/* The sentence in an error object; OpenRouter hides the real one in metadata.raw. */
static struct view message_of(const json_t *error)
{
    struct view m = json_view_of(error);

    if (m.n == 0)
        m = json_view(error, "message");
    if (m.n == 0)
        m = json_view(error, "error");
    if (m.n == 0)
        m = json_view(error, "detail");
    return m;
}

void fail_from_json(struct failure *f, uint32_t status, const json_t *error)
{
    int64_t code = json_i64(error, "code", 0);

    if (status < 400 && code >= 400 && code <= 599)
        status = (uint32_t)code;
    classify(f, status >= 300 ? status : 0, error, message_of(error));
}

void fail_from_http(struct failure *f, uint32_t status, struct view body)
{
    struct err ignored = ERR_INIT;
    json_t *doc = NULL;
    const json_t *top, *error;

    body = view_trim(body);
    if (body.n && (body.p[0] == '{' || body.p[0] == '[') && json_parse(body, &doc, &ignored) == 0) {
        top = json_is_array(doc) ? json_array_get(doc, 0) : doc;
        error = json_object_get(top, "error");
        fail_from_json(f, status, json_is_object(error) || json_is_string(error) ? error : top);
        json_decref(doc);
        return;
    }
    if (body.n && body.p[0] == '<')
        body = VIEW_EMPTY; /* a page of some proxy tells nobody anything */
    classify(f, status, NULL, body);
}

uint64_t fail_retry_after(struct view value, int64_t wall_ms)
{
    char text[64];
    struct tm tm = {0};
    uint64_t seconds;
    struct err ignored = ERR_INIT;
    int64_t at_ms;

    value = view_trim(value);
    if (num_u64(value, 0, 365 * 24 * 3600, &seconds, &ignored) == 0)
        return seconds * 1000;
    if (value.n == 0 || value.n >= sizeof(text))
        return 0;
    memcpy(text, value.p, value.n);
    text[value.n] = 0;
    if (!strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm)) {
        return strchr(text, '.') ? duration_ms(text) : 0; /* some send fractions of a second */
    }
    at_ms = (int64_t)timegm(&tm) * 1000;
    return at_ms > wall_ms ? (uint64_t)(at_ms - wall_ms) : 0;
}

void fail_redact(struct failure *f, struct view secret)
{
    char *at = f->text;
    size_t n = strlen(f->text);

    if (secret.n < 4) /* too short to tell from ordinary text */
        return;
    while ((at = memmem(at, n - (size_t)(at - f->text), secret.p, secret.n))) {
        memset(at, '*', secret.n);
        at += secret.n;
    }
    for (size_t k = secret.n - 1; k >= 4; k--) /* the cut may have left only its beginning */
        if (n >= k && memcmp(f->text + n - k, secret.p, k) == 0)
            memset(f->text + n - k, '*', k);
}
