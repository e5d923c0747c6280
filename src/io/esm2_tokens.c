/* SPDX-License-Identifier: BSD-3-Clause */
/* The alphabet of ESM-2. */
#include "io/tokens.h"

static const char *const tokens[ASTER_ESM2_N_IDS] = {
    "<cls>", "<pad>", "<eos>", "<unk>", "L", "A", "G", "V", "S", "E",        "R",
    "T",     "I",     "D",     "P",     "K", "Q", "N", "F", "Y", "M",        "H",
    "W",     "C",     "X",     "B",     "U", "Z", "O", ".", "-", "<null_1>", "<mask>"};

const char *aster_esm2_token(int id)
{
    return id >= 0 && id < ASTER_ESM2_N_IDS ? tokens[id] : NULL;
}

/* 0, which no residue has, for a byte that the table lacks. */
static void fill_table(uint8_t *id_of)
{
    for (int id = 0; id < ASTER_ESM2_N_IDS; id++)
        if (!tokens[id][1])
            id_of[(unsigned char)tokens[id][0]] = (uint8_t)id;
}

void aster_esm2_encode(const char *sequence, int64_t n, int32_t unknown, int32_t *ids,
                       struct aster_esm2_odd *odd)
{
    uint8_t id_of[256] = {0};
    struct aster_esm2_odd found = {0};
    fill_table(id_of);
    ids[0] = ASTER_ESM2_BEGIN;
    for (int64_t k = 0; k < n; k++) {
        unsigned char c = (unsigned char)sequence[k];
        ids[k + 1] = id_of[c] ? id_of[c] : unknown;
        if (!id_of[c] && found.n++ == 0) {
            found.at = k;
            found.byte = c;
        }
    }
    ids[n + 1] = ASTER_ESM2_END;
    if (odd)
        *odd = found;
}
