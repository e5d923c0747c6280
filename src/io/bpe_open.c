/* SPDX-License-Identifier: BSD-3-Clause */
/* tokenizer.json to a byte-pair encoding; what would make it encode otherwise is refused. */
#include "io/bpe.h"

#include <ctype.h>
#include <string.h>

enum { MOST_IDS = 1 << 16, MOST_SPECIAL = 256, MOST_LINKS = 1 << 22 };

static int refuse(const struct aster_bpe *b, const struct aster_json *j, const char *what)
{
    if (!j)
        return aster_fail(b->ctx, ASTER_EFORMAT, "%s: %s", b->path, what);
    return aster_fail(b->ctx, ASTER_EFORMAT, "%s:%d: %s", b->path, j->line, what);
}

static bool is_absent(const struct aster_json *j)
{
    return !j || j->type == ASTER_JSON_NULL;
}

/* Absent, null, false, 0 or "". */
static bool is_off(const struct aster_json *j)
{
    return is_absent(j) || (j->type == ASTER_JSON_BOOL && !j->boolean) ||
           (j->type == ASTER_JSON_NUMBER && j->number == 0) ||
           (j->type == ASTER_JSON_STRING && !*j->string);
}

static bool has_text(const struct aster_json *object, const char *key, const char *text)
{
    const struct aster_json *j = aster_json_get(object, key);
    return j && j->type == ASTER_JSON_STRING && !strcmp(j->string, text);
}

/* ---- vocabulary ---- */

static uint64_t text_slot(const struct aster_bpe *b, const char *text, size_t n)
{
    return aster_fnv1a64(text, n) & (uint64_t)b->text_mask;
}

static int32_t find_text(const struct aster_bpe *b, const char *text, size_t n)
{
    uint64_t k = text_slot(b, text, n);
    for (; b->by_text[k] >= 0; k = (k + 1) & (uint64_t)b->text_mask) {
        const char *token = b->token[b->by_text[k]];
        if (!strncmp(token, text, n) && !token[n])
            return b->by_text[k];
    }
    return -1;
}

int aster_bpe_id(const struct aster_bpe *b, const char *token)
{
    return find_text(b, token, strlen(token));
}

static int64_t table_size(int64_t n)
{
    int64_t size = 64;
    while (size < 4 * n)
        size *= 2;
    return size;
}

static int add_token(struct aster_bpe *b, const struct aster_json *j)
{
    if (!j->is_int || j->integer < 0 || j->integer >= b->n_ids || !*j->key)
        return aster_fail(b->ctx, ASTER_EFORMAT,
                          "%s:%d: the id of token '%.*s' is no integer from 0 to %lld", b->path,
                          j->line, ASTER_CUT(100, j->key), (long long)b->n_ids - 1);
    if (b->token[j->integer])
        return aster_fail(b->ctx, ASTER_EFORMAT,
                          "%s:%d: the tokens '%.*s' and '%.*s' have the same id %lld", b->path,
                          j->line, ASTER_CUT(100, b->token[j->integer]), ASTER_CUT(100, j->key),
                          (long long)j->integer);
    b->token[j->integer] = j->key;
    uint64_t k = text_slot(b, j->key, strlen(j->key));
    while (b->by_text[k] >= 0)
        k = (k + 1) & (uint64_t)b->text_mask;
    b->by_text[k] = (int32_t)j->integer;
    if (aster_utf8_length(j->key, j->key + strlen(j->key)) < (int)strlen(j->key))
        return 0;
    if (!isalnum((unsigned char)*j->key))
        return refuse(b, j, "a token of one character that is no letter or digit of ASCII");
    b->letter[(unsigned char)*j->key] = b->n_letters++;
    b->part[j->integer].rank = BPE_LETTER;
    b->part[j->integer].comes_out = true;
    return 0;
}

static int read_vocabulary(struct aster_bpe *b, const struct aster_json *model)
{
    const struct aster_json *vocab = aster_json_get(model, "vocab");
    if (!vocab || vocab->type != ASTER_JSON_OBJECT)
        return refuse(b, model, "model.vocab is missing; an object of tokens and ids is expected");
    b->n_ids = aster_json_count(vocab);
    if (b->n_ids < 1 || b->n_ids > MOST_IDS)
        return refuse(b, vocab, "model.vocab has to have 1 to 65536 tokens");
    b->text_mask = table_size(b->n_ids) - 1;
    ASTER_TRY(aster_alloc(b->ctx, b->n_ids, sizeof *b->token, &b->token));
    ASTER_TRY(aster_alloc(b->ctx, b->text_mask + 1, sizeof *b->by_text, &b->by_text));
    memset(b->by_text, 0xff, (size_t)(b->text_mask + 1) * sizeof *b->by_text);
    memset(b->letter, 0xff, sizeof b->letter);
    ASTER_TRY(aster_alloc(b->ctx, b->n_ids, sizeof *b->part, &b->part));
    for (int64_t k = 0; k < b->n_ids; k++)
        b->part[k] = (struct bpe_token){.rank = BPE_NONE, .shorter = -1};
    for (const struct aster_json *j = vocab->child; j; j = j->next)
        ASTER_TRY(add_token(b, j));
    const struct aster_json *unknown = aster_json_get(model, "unk_token");
    b->unknown =
        unknown && unknown->type == ASTER_JSON_STRING ? aster_bpe_id(b, unknown->string) : -1;
    if (b->unknown < 0)
        return refuse(b, model, "model.unk_token is missing or not in the vocabulary");
    return 0;
}

/* ---- merges ---- */

/* "left right" or ["left", "right"]. */
static bool split_merge(const struct aster_json *j, const char **left, size_t *n_left,
                        const char **right)
{
    if (j->type == ASTER_JSON_ARRAY && aster_json_count(j) == 2 &&
        j->child->type == ASTER_JSON_STRING && j->child->next->type == ASTER_JSON_STRING) {
        *left = j->child->string;
        *n_left = strlen(*left);
        *right = j->child->next->string;
        return true;
    }
    const char *blank = j->type == ASTER_JSON_STRING ? strchr(j->string, ' ') : NULL;
    if (!blank)
        return false;
    *left = j->string;
    *n_left = (size_t)(blank - j->string);
    *right = blank + 1;
    return true;
}

static bool is_word(const char *text)
{
    for (; *text; text++)
        if (!isalnum((unsigned char)*text))
            return false;
    return true;
}

/* Parts that no earlier merge made, or two ways to one token, would ask for another algorithm. */
static int add_merge(struct aster_bpe *b, const struct aster_json *j)
{
    const char *left, *right;
    size_t n_left;
    struct aster_str whole = {0};
    if (!split_merge(j, &left, &n_left, &right))
        return refuse(b, j, "a merge is neither \"left right\" nor a list of two texts");
    aster_str_addn(&whole, left, n_left);
    aster_str_add(&whole, right);
    int rc = aster_str_ok(b->ctx, &whole);
    int32_t l = find_text(b, left, n_left), r = find_text(b, right, strlen(right)),
            w = rc == 0 ? find_text(b, whole.s, whole.len) : -1;
    if (rc == 0 && (l < 0 || r < 0 || w < 0 || !is_word(whole.s)))
        rc = refuse(b, j, "a merge's parts and its result have to be tokens of letters and digits");
    aster_str_free(&whole);
    ASTER_TRY(rc);
    if (b->part[w].rank != BPE_NONE || b->part[l].rank == BPE_NONE || b->part[r].rank == BPE_NONE)
        return refuse(b, j,
                      "a merge makes a token for the second time, or of tokens that no "
                      "earlier merge makes");
    b->part[w].left = l;
    b->part[w].right = r;
    b->part[w].rank = (int32_t)b->n_merges;
    uint32_t key = (uint32_t)l << 16 | (uint32_t)r;
    uint64_t k = bpe_slot(key) & (uint64_t)b->pair_mask;
    while (b->pair[k].rank >= 0)
        k = (k + 1) & (uint64_t)b->pair_mask;
    b->pair[k] = (struct bpe_pair){key, (int32_t)b->n_merges++};
    b->part[w].comes_out =
        b->part[l].comes_out && b->part[r].comes_out && bpe_fits(b, l, r, b->part[w].rank);
    return 0;
}

static int read_merges(struct aster_bpe *b, const struct aster_json *model)
{
    const struct aster_json *merges = aster_json_get(model, "merges");
    if (!merges || merges->type != ASTER_JSON_ARRAY)
        return refuse(b, model, "model.merges is missing; a list is expected");
    int64_t n = aster_json_count(merges);
    if (n > b->n_ids)
        return refuse(b, merges, "model.merges has more entries than model.vocab");
    b->pair_mask = table_size(n) - 1;
    ASTER_TRY(aster_alloc(b->ctx, b->pair_mask + 1, sizeof *b->pair, &b->pair));
    for (int64_t k = 0; k <= b->pair_mask; k++)
        b->pair[k].rank = -1;
    for (const struct aster_json *j = merges->child; j; j = j->next)
        ASTER_TRY(add_merge(b, j));
    return 0;
}

/* ---- the tree of texts ---- */

static int add_node(struct aster_bpe *b, int32_t *out)
{
    int64_t n = b->n_nodes + 1;
    ASTER_TRY(aster_grow(b->ctx, n * b->n_letters, sizeof *b->node, &b->cap_nodes, &b->node));
    ASTER_TRY(aster_grow(b->ctx, n, sizeof *b->node_id, &b->cap_node_ids, &b->node_id));
    for (int32_t k = 0; k < b->n_letters; k++)
        b->node[b->n_nodes * b->n_letters + k] = -1;
    b->node_id[b->n_nodes] = -1;
    *out = (int32_t)b->n_nodes++;
    return 0;
}

static int add_text(struct aster_bpe *b, int32_t id)
{
    int32_t at = 0;
    for (const char *c = b->token[id]; *c; c++) {
        int64_t place = (int64_t)at * b->n_letters + b->letter[(unsigned char)*c];
        int32_t next = b->node[place];
        if (next < 0) {
            if ((b->n_nodes + 1) * b->n_letters > MOST_LINKS)
                return refuse(b, NULL, "its tokens have too many different beginnings");
            ASTER_TRY(add_node(b, &next));
            b->node[place] = next;
        }
        at = next;
        b->part[id].length++;
    }
    b->node_id[at] = id;
    return 0;
}

/* Of every token that can come out of a text. */
static int plant_tree(struct aster_bpe *b)
{
    int32_t root;
    ASTER_TRY(add_node(b, &root));
    for (int32_t id = 0; id < b->n_ids; id++)
        if (b->part[id].comes_out)
            ASTER_TRY(add_text(b, id));
    for (int32_t id = 0; id < b->n_ids; id++) {
        int32_t at = 0;
        for (int32_t k = 0; k + 1 < b->part[id].length; k++) {
            at = b->node[(int64_t)at * b->n_letters + b->letter[(unsigned char)b->token[id][k]]];
            if (b->node_id[at] >= 0)
                b->part[id].shorter = b->node_id[at];
        }
    }
    return 0;
}

/* ---- special tokens, settings ---- */

static int add_special(struct aster_bpe *b, const struct aster_json *j)
{
    const struct aster_json *text = aster_json_get(j, "content"), *id = aster_json_get(j, "id");
    if (!text || text->type != ASTER_JSON_STRING || !*text->string || !id || !id->is_int ||
        id->integer < 0 || id->integer > INT32_MAX)
        return refuse(b, j, "an added token without content or id");
    if (!is_off(aster_json_get(j, "single_word")) || !is_off(aster_json_get(j, "lstrip")) ||
        !is_off(aster_json_get(j, "rstrip")))
        return refuse(b, j, "an added token that is a single word or takes blanks with it");
    b->starts[(unsigned char)*text->string] = true;
    b->special[b->n_special++] =
        (struct bpe_special){text->string, strlen(text->string), (int32_t)id->integer};
    return 0;
}

static int read_special(struct aster_bpe *b)
{
    const struct aster_json *added = aster_json_get(b->json, "added_tokens");
    if (is_absent(added))
        return 0;
    if (added->type != ASTER_JSON_ARRAY || aster_json_count(added) > MOST_SPECIAL)
        return refuse(b, added, "added_tokens is no list of at most 256");
    ASTER_TRY(aster_alloc(b->ctx, MOST_SPECIAL, sizeof *b->special, &b->special));
    for (const struct aster_json *j = added->child; j; j = j->next)
        ASTER_TRY(add_special(b, j));
    return 0;
}

/* The id of {"SpecialToken": {"id": NAME}} by special_tokens.NAME.ids; -1 if it is not of the form.
 */
static int32_t template_id(const struct aster_json *post, const struct aster_json *piece)
{
    const struct aster_json *name = aster_json_get(aster_json_get(piece, "SpecialToken"), "id");
    if (!name || name->type != ASTER_JSON_STRING)
        return -1;
    const struct aster_json *ids =
        aster_json_get(aster_json_get(aster_json_get(post, "special_tokens"), name->string), "ids");
    if (aster_json_count(ids) != 1 || !ids->child->is_int || ids->child->integer < 0 ||
        ids->child->integer > INT32_MAX)
        return -1;
    return (int32_t)ids->child->integer;
}

static int read_template(struct aster_bpe *b)
{
    const struct aster_json *post = aster_json_get(b->json, "post_processor"),
                            *single = aster_json_get(post, "single");
    bool good = has_text(post, "type", "TemplateProcessing") && aster_json_count(single) == 3 &&
                aster_json_get(single->child->next, "Sequence");
    b->begin = good ? template_id(post, single->child) : -1;
    b->end = good ? template_id(post, single->child->next->next) : -1;
    if (b->begin < 0 || b->end < 0)
        return refuse(b, post,
                      "post_processor is no template of one special token, the sequence "
                      "and another special token");
    return 0;
}

static int check_settings(const struct aster_bpe *b, const struct aster_json *model)
{
    static const char *const off[] = {"dropout",       "continuing_subword_prefix",
                                      "fuse_unk",      "end_of_word_suffix",
                                      "byte_fallback", "ignore_merges"};
    if (!has_text(model, "type", "BPE"))
        return refuse(b, model, "model.type is not BPE");
    for (size_t k = 0; k < sizeof off / sizeof *off; k++)
        if (!is_off(aster_json_get(model, off[k])))
            return aster_fail(b->ctx, ASTER_EFORMAT,
                              "%s:%d: model.%s is set; null, false or \"\" is expected", b->path,
                              aster_json_get(model, off[k])->line, off[k]);
    const struct aster_json *normalizer = aster_json_get(b->json, "normalizer"),
                            *pre = aster_json_get(b->json, "pre_tokenizer");
    if (!is_absent(normalizer))
        return refuse(b, normalizer, "a normalizer; null is expected");
    if (!has_text(pre, "type", "Whitespace"))
        return refuse(b, pre, "pre_tokenizer is not of type Whitespace");
    return 0;
}

static int read_all(struct aster_bpe *b)
{
    ASTER_TRY(aster_json_read(b->ctx, b->path, &b->json));
    const struct aster_json *model = aster_json_get(b->json, "model");
    if (!model)
        return refuse(b, b->json, "has no model; a tokenizer.json is expected");
    ASTER_TRY(check_settings(b, model));
    ASTER_TRY(read_vocabulary(b, model));
    ASTER_TRY(read_merges(b, model));
    ASTER_TRY(plant_tree(b));
    ASTER_TRY(read_special(b));
    return read_template(b);
}

int aster_bpe_open(struct aster_ctx *ctx, const char *path, struct aster_bpe **out)
{
    struct aster_bpe *b = NULL;
    *out = NULL;
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *b, &b));
    b->ctx = ctx;
    int rc = aster_strdup(ctx, path, &b->path);
    if (rc == 0)
        rc = read_all(b);
    if (rc < 0)
        aster_bpe_close(&b);
    *out = b;
    return rc;
}

int aster_bpe_n_ids(const struct aster_bpe *b)
{
    return (int)b->n_ids;
}

const char *aster_bpe_token(const struct aster_bpe *b, int id)
{
    return id >= 0 && id < b->n_ids ? b->token[id] : NULL;
}

void aster_bpe_close(struct aster_bpe **bp)
{
    struct aster_bpe *b = *bp;
    if (!b)
        return;
    aster_json_free(&b->json);
    aster_free(&b->token);
    aster_free(&b->by_text);
    aster_free(&b->pair);
    aster_free(&b->part);
    aster_free(&b->node);
    aster_free(&b->node_id);
    aster_free(&b->special);
    aster_free(&b->path);
    aster_free(bp);
}
