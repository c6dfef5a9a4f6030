#include "cage.h"

#include "cage_filters.h"
#include "mem.h"
#include "view.h"

#include <sched.h>

/* Once per kind of row. */
#define ALLOW(call, why)
#define ALLOW_EQ(call, n, value, why)
#define ALLOW_BITS(call, n, mask, value, why)
#define ALSO(call, why)
#define SELDOM(call, why)
#define FAIL(call, code, why)
#define FAIL_EQ(call, n, value, code, why)

#define READ_PATH(path, why) path,
#define CONNECT(port, why)
#define LIMIT(what, value, why)
#define MEMORY(bytes, why)
#define PRIVATE(what, why)
#define EMPTY_ROOT(why)
#define HOST_SOCKET(why)
static const char *const front_paths[] = {
#include "sandbox/front.def"
    NULL};
static const char *const hub_paths[] = {
#include "sandbox/hub.def"
    NULL};
static const char *const agent_paths[] = {
#include "sandbox/agent.def"
    NULL};
static const char *const channel_paths[] = {
#include "sandbox/channel.def"
    NULL};
static const char *const whois_paths[] = {
#include "sandbox/whois.def"
    NULL};
static const char *const fetch_paths[] = {
#include "sandbox/fetch.def"
    NULL};
static const char *const files_paths[] = {
#include "sandbox/files.def"
    NULL};
static const char *const script_paths[] = {
#include "sandbox/script.def"
    NULL};
#undef READ_PATH
#define READ_PATH(path, why)

#undef CONNECT
#define CONNECT(port, why) port,
static const unsigned short front_ports[] = {
#include "sandbox/front.def"
    0};
static const unsigned short hub_ports[] = {
#include "sandbox/hub.def"
    0};
static const unsigned short agent_ports[] = {
#include "sandbox/agent.def"
    0};
static const unsigned short channel_ports[] = {
#include "sandbox/channel.def"
    0};
static const unsigned short whois_ports[] = {
#include "sandbox/whois.def"
    0};
static const unsigned short fetch_ports[] = {
#include "sandbox/fetch.def"
    0};
static const unsigned short files_ports[] = {
#include "sandbox/files.def"
    0};
static const unsigned short script_ports[] = {
#include "sandbox/script.def"
    0};
#undef CONNECT
#define CONNECT(port, why)

#undef LIMIT
#define LIMIT(what, value, why) {RLIMIT_##what, (value)},
static const struct cage_limit front_limits[] = {
#include "sandbox/front.def"
};
static const struct cage_limit hub_limits[] = {
#include "sandbox/hub.def"
};
static const struct cage_limit agent_limits[] = {
#include "sandbox/agent.def"
};
static const struct cage_limit channel_limits[] = {
#include "sandbox/channel.def"
};
static const struct cage_limit whois_limits[] = {
#include "sandbox/whois.def"
};
static const struct cage_limit fetch_limits[] = {
#include "sandbox/fetch.def"
};
static const struct cage_limit files_limits[] = {
#include "sandbox/files.def"
};
static const struct cage_limit script_limits[] = {
#include "sandbox/script.def"
};
#undef LIMIT
#define LIMIT(what, value, why)

#undef MEMORY
#define MEMORY(bytes, why) +(bytes)
enum {
    front_memory = 0
#include "sandbox/front.def"
    ,
    hub_memory = 0
#include "sandbox/hub.def"
    ,
    agent_memory = 0
#include "sandbox/agent.def"
    ,
    channel_memory = 0
#include "sandbox/channel.def"
    ,
    whois_memory = 0
#include "sandbox/whois.def"
    ,
    fetch_memory = 0
#include "sandbox/fetch.def"
    ,
    files_memory = 0
#include "sandbox/files.def"
    ,
    script_memory = 0
#include "sandbox/script.def"
};
#undef MEMORY
#define MEMORY(bytes, why)

#define PRIVATE_MNT CLONE_NEWNS
#define PRIVATE_NET CLONE_NEWNET
#define PRIVATE_IPC CLONE_NEWIPC
#define PRIVATE_UTS CLONE_NEWUTS
#undef PRIVATE
#define PRIVATE(what, why) | PRIVATE_##what
enum {
    front_namespaces = 0
#include "sandbox/front.def"
    ,
    hub_namespaces = 0
#include "sandbox/hub.def"
    ,
    agent_namespaces = 0
#include "sandbox/agent.def"
    ,
    channel_namespaces = 0
#include "sandbox/channel.def"
    ,
    whois_namespaces = 0
#include "sandbox/whois.def"
    ,
    fetch_namespaces = 0
#include "sandbox/fetch.def"
    ,
    files_namespaces = 0
#include "sandbox/files.def"
    ,
    script_namespaces = 0
#include "sandbox/script.def"
};
#undef PRIVATE
#define PRIVATE(what, why)

#undef EMPTY_ROOT
#define EMPTY_ROOT(why) || true
static const bool front_empty_root = false
#include "sandbox/front.def"
    ;
static const bool hub_empty_root = false
#include "sandbox/hub.def"
    ;
static const bool agent_empty_root = false
#include "sandbox/agent.def"
    ;
static const bool channel_empty_root = false
#include "sandbox/channel.def"
    ;
static const bool whois_empty_root = false
#include "sandbox/whois.def"
    ;
static const bool fetch_empty_root = false
#include "sandbox/fetch.def"
    ;
static const bool files_empty_root = false
#include "sandbox/files.def"
    ;
static const bool script_empty_root = false
#include "sandbox/script.def"
    ;
#undef EMPTY_ROOT
#define EMPTY_ROOT(why)

#undef HOST_SOCKET
#define HOST_SOCKET(why) || true
static const bool front_host_socket = false
#include "sandbox/front.def"
    ;
static const bool hub_host_socket = false
#include "sandbox/hub.def"
    ;
static const bool agent_host_socket = false
#include "sandbox/agent.def"
    ;
static const bool channel_host_socket = false
#include "sandbox/channel.def"
    ;
static const bool whois_host_socket = false
#include "sandbox/whois.def"
    ;
static const bool fetch_host_socket = false
#include "sandbox/fetch.def"
    ;
static const bool files_host_socket = false
#include "sandbox/files.def"
    ;
static const bool script_host_socket = false
#include "sandbox/script.def"
    ;

#define ROW(name)                                                                                  \
    {                                                                                              \
        .filter = name##_filter, .filter_len = COUNT_OF(name##_filter), .paths = name##_paths,     \
        .ports = name##_ports, .limits = name##_limits, .limit_count = COUNT_OF(name##_limits),    \
        .namespaces = name##_namespaces, .empty_root = name##_empty_root,                          \
        .host_socket = name##_host_socket, .memory = name##_memory                                 \
    }

const struct cage *cage_of(enum role r)
{
    static const struct cage cages[ROLE_COUNT] = {
        [ROLE_FRONT] = ROW(front),     [ROLE_HUB] = ROW(hub),       [ROLE_AGENT] = ROW(agent),
        [ROLE_CHANNEL] = ROW(channel), [ROLE_WHOIS] = ROW(whois),   [ROLE_FETCH] = ROW(fetch),
        [ROLE_FILES] = ROW(files),     [ROLE_SCRIPT] = ROW(script),
    };

    return r > ROLE_SUPERVISOR && r < ROLE_COUNT ? &cages[r] : NULL;
}
