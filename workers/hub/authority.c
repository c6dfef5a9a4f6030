#include "authority.h"

enum verdict authority_judge(const struct identity *who, enum scope needs, enum scope *missing)
{
    enum scope name = needs;

    if (who->role == CONN_NODE)
        return needs == SCOPE_NODE || needs == SCOPE_ANY ? VERDICT_ALLOWED : VERDICT_NOT_NODE;
    if (needs == SCOPE_NODE)
        return VERDICT_NOT_OPERATOR;
    if (needs == SCOPE_ANY || (who->scopes & SCOPE_ADMIN))
        return VERDICT_ALLOWED;
    if (needs == SCOPE_DYNAMIC)
        needs = name = SCOPE_WRITE; /* the least; the handler asks for more */
    if (who->scopes & needs)
        return VERDICT_ALLOWED;
    /* the narrow session scopes suffice, but the wide one is what is missing */
    if (needs == SCOPE_SESSIONS_READ)
        name = SCOPE_READ;
    else if (needs == SCOPE_SESSIONS_WRITE)
        name = SCOPE_WRITE;
    *missing = name;
    return VERDICT_MISSING;
}
