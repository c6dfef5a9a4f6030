/*
 * common/curl_api.h - libcurl, loaded when a model or a platform on the network is configured and
 * not before: with its 32 libraries it is 8 MB of an otherwise tiny process (1.4 after
 * pages_release), and 5 ms of its start. Must be loaded before worker_sandbox: afterwards no file
 * can be opened.
 */
#ifndef CURL_API_H
#define CURL_API_H

#include "err.h"

#include <curl/curl.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

/* Every function we use: member of struct curl_api and symbol curl_<name>. */
#define CURL_FUNCTIONS(X)                                                                          \
    X(global_init_mem)                                                                             \
    X(easy_init)                                                                                   \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(easy_strerror)                                                                               \
    X(easy_cleanup)                                                                                \
    X(mime_init)                                                                                   \
    X(mime_addpart)                                                                                \
    X(mime_name)                                                                                   \
    X(mime_data)                                                                                   \
    X(mime_data_cb)                                                                                \
    X(mime_type)                                                                                   \
    X(mime_filename)                                                                               \
    X(mime_free)                                                                                   \
    X(url)                                                                                         \
    X(url_set)                                                                                     \
    X(url_get)                                                                                     \
    X(url_cleanup)                                                                                 \
    X(free)                                                                                        \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(multi_init)                                                                                  \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_socket_action)                                                                         \
    X(multi_assign)                                                                                \
    X(multi_info_read)                                                                             \
    X(multi_cleanup)

struct curl_api {
#define X(name) __typeof__(curl_##name) *name;
    CURL_FUNCTIONS(X)
#undef X
};

/* Loads on the first call.  Errors: ERR_SYS with the loader's reason. *out lives as long as the
 * process. */
int curl_api_load(const struct curl_api **out, struct err *e) MUST_USE;
/* A handle with what no request of ours may do without: http and https only, certificates and names
 * verified, TLS 1.2 at least, no proxy, password or setting from anywhere but the caller, no
 * redirect. NULL: no memory. */
CURL *curl_api_easy(const struct curl_api *api);

#endif
