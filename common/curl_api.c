#include "curl_api.h"

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
    if (found.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, ERR_SYS, "libcurl does not start");
    api = found;
    loaded = true;
    *out = &api;
    return 0;
}
