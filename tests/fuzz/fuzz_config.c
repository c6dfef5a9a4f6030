/* config: whatever the file says, the answer is a configuration that is not open to strangers, or a
 * report with an error. What is made from one parses again and shows no secret. */
#include "config.h"
#include "json.h"
#include "json5.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static const char *env_of(void *ctx, const char *name)
{
    (void)ctx;
    if (strcmp(name, "HOME") == 0)
        return "/nowhere";
    return strcmp(name, "MOCK_KEY") == 0 ? "canary-of-the-environment" : NULL;
}

static bool holds(struct view v, const char *text)
{
    return v.n && memmem(v.p, v.n, text, strlen(text)) != NULL;
}

static void check_conf(const struct config *c)
{
    const struct conf *f = config_conf(c);
    const char *host = f->gateway_custom_bind_host;

    must(f->gateway_auth_mode == CONF_AUTH_TOKEN || f->gateway_auth_mode == CONF_AUTH_NONE);
    must(f->gateway_auth_mode == CONF_AUTH_TOKEN || f->gateway_bind == CONF_BIND_LOOPBACK ||
         (f->gateway_bind == CONF_BIND_CUSTOM && host &&
          (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0)));
    must(f->gateway_mode == CONF_MODE_LOCAL && f->gateway_port > 0 && !f->gateway_tls_enabled);
    must(f->agents_model && strchr(f->agents_model, '/'));
}

static void check_products(const struct config *c, const struct config_report *report)
{
    struct buf b = BUF_INIT((size_t)64 << 20);
    struct err e = ERR_INIT;
    json_t *doc = NULL, *read = NULL;
    struct config_diff d;

    for (int role = ROLE_FRONT; role < ROLE_COUNT; role++) {
        must(config_slice(c, (enum role)role, &doc, &e) == 0);
        must(json_dump(doc, &b, &e) == 0 && json_parse(buf_view(&b), &read, &e) == 0);
        must(json_equal(doc, read) && json_is_object(doc));
        json_decref(doc);
        json_decref(read);
        buf_reset(&b, 0);
    }
    must(config_redacted(c, report, V("key"), &doc, &e) == 0 && json_dump(doc, &b, &e) == 0);
    must(!holds(buf_view(&b), "canary-of-the-environment"));
    json_decref(doc);
    must(config_diff(c, c, &d, &e) == 0 && d.total == 0);
    config_diff_fini(&d);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct config_source src = {.text = view_of((const char *)data, n), .env = env_of};
    struct buf text = BUF_INIT((size_t)1 << 20);
    struct config_report report;
    struct config *c = NULL;
    struct err e = ERR_INIT, ce = ERR_INIT;
    int r;

    /* references read files: keep the fuzzer away from the machine's; and from our own mark */
    if (n == 0 || holds(src.text, "file") || holds(src.text, "canary"))
        return 0;
    config_report_init(&report);
    r = config_load(&c, &src, &report, &e);
    must((r == 0) == (c != NULL) && (r == 0 || (r == e.code && e.text[0])));
    must((r == 0) == (report.errors == 0));
    must(report.count <= CONFIG_ISSUES_MAX);
    must(config_check(&src, &text, &ce) == r && text.n > 0);
    if (c) {
        check_conf(c);
        check_products(c, &report);
    }
    config_free(&c);
    config_report_fini(&report);
    buf_fini(&text);
    return 0;
}
