/* SPDX-License-Identifier: BSD-3-Clause */
/* References: $name alone is a parameter's value, ${name} inside a text its text, $$ a dollar. */
#include "pipeline/internal.h"

#include <ctype.h>
#include <string.h>

static size_t name_length(const char *s)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    return n;
}

const char *aster_reference_whole(const char *text, size_t *n)
{
    if (text[0] != '$')
        return NULL;
    *n = name_length(text + 1);
    return *n && !text[1 + *n] ? text + 1 : NULL;
}

int aster_reference_next(const char **text, struct aster_reference_part *part, const char **why)
{
    const char *s = *text;
    *part = (struct aster_reference_part){0};
    if (!*s)
        return 0;
    if (*s != '$' || s[1] == '$') {
        part->literal = s;
        part->n_literal = *s == '$' ? 1 : strcspn(s, "$");
        *text = s + (*s == '$' ? 2 : part->n_literal);
        return 1;
    }
    if (s[1] != '{') {
        *why = "'$' inside a text: write ${name} for a parameter, $$ for a dollar";
        return ASTER_EPARAM;
    }
    part->name = s + 2;
    part->n_name = name_length(part->name);
    if (part->n_name == 0 || part->name[part->n_name] != '}') {
        *why = "'${' without a name and '}' behind it; $$ is a dollar";
        return ASTER_EPARAM;
    }
    *text = part->name + part->n_name + 1;
    return 1;
}
