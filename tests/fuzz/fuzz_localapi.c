/* What tailscaled answers. Whoever is found has a name that can be printed and compared. */
#include "localapi.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char login[LOCALAPI_LOGIN_MAX + 1];
    enum localapi_verdict v = localapi_answer(view_of((const char *)data, n), login);
    size_t len = strnlen(login, sizeof(login));

    if ((v == LOCALAPI_FOUND) != (len > 0) || len > LOCALAPI_LOGIN_MAX)
        abort();
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)login[i] <= 0x20 || login[i] == 0x7f)
            abort();
    return 0;
}
