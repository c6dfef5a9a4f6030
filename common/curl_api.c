#include "curl_api.h"

#include "mem.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int curl_api_load(const struct curl_api **out, struct err *e)
{
    static struct curl_api api; /* the library itself is process-wide, whoever holds it */
    static bool loaded;
    static const char *const names[] = {
#define X(name) "curl_" #name,
        CURL_FUNCTIONS(X)
#undef X
    };
    void *lib, *sym;
    struct curl_api found;

    if (loaded) {
        *out = &api;
        return 0;
    }
    /* GnuTLS comes along with librtmp, and its constructor sets up what nobody uses: 120 KB */
    (void)setenv("GNUTLS_NO_IMPLICIT_INIT", "1", 1);
    lib = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL);
    if (!lib)
        return err_set(e, ERR_SYS, "cannot load libcurl: %s", dlerror());
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        sym = dlsym(lib, names[i]);
        if (!sym)
            return err_set(e, ERR_SYS, "libcurl has no %s", names[i]);
        /* POSIX: a data pointer from dlsym holds a function's address */
        memcpy((char *)&found + i * sizeof(sym), &sym, sizeof(sym));
    }
    /* requests are told keys, and libcurl frees what it built of them as it is */
    if (found.global_init_mem(CURL_GLOBAL_DEFAULT, mem_wiping_malloc, mem_wiping_free,
                              mem_wiping_realloc, mem_wiping_strdup, mem_wiping_calloc) != CURLE_OK)
        return err_set(e, ERR_SYS, "libcurl does not start");
    api = found;
    loaded = true;
    *out = &api;
    return 0;
}

CURL *curl_api_easy(const struct curl_api *api)
{
    CURL *c = api->easy_init();
    bool ok = c != NULL;

#define SET(opt, value) ok = ok && api->easy_setopt(c, CURLOPT_##opt, value) == CURLE_OK
    SET(PROTOCOLS_STR, "http,https");
    SET(REDIR_PROTOCOLS_STR, "http,https");
    SET(FOLLOWLOCATION, 0L);
    SET(PROXY, ""); /* also not the environment's */
    SET(DISALLOW_USERNAME_IN_URL, 1L);
    SET(NETRC, (long)CURL_NETRC_IGNORED);
    SET(SSL_VERIFYPEER, 1L);
    SET(SSL_VERIFYHOST, 2L);
    SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(NOSIGNAL, 1L);
    SET(TCP_NODELAY, 1L);
    SET(TCP_KEEPALIVE, 1L);
#undef SET
    if (!ok && c) {
        api->easy_cleanup(c);
        c = NULL;
    }
    return c;
}
