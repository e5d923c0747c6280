/* SPDX-License-Identifier: BSD-3-Clause */
/* Which instruction set this CPU has, and the kernel table for it. */
#include "backend.h"

#include <stdlib.h>
#include <string.h>

extern const struct aster_backend aster_backend_cpu_base, aster_backend_cpu_avx2,
    aster_backend_cpu_avx512, aster_backend_cpu_avx512bf16;

static const char *const isa_names[ASTER_N_ISAS] = {"x86-64", "avx2", "avx512", "avx512bf16"};

const char *aster_isa_name(enum aster_isa isa)
{
    return isa_names[isa];
}

bool aster_isa_here(enum aster_isa isa)
{
    __builtin_cpu_init();
    switch (isa) {
    case ASTER_ISA_BASE:
        return true;
    case ASTER_ISA_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("bmi2");
    case ASTER_ISA_AVX512:
    case ASTER_ISA_AVX512BF16:
        return aster_isa_here(ASTER_ISA_AVX2) && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               (isa == ASTER_ISA_AVX512 ||
                (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni")));
    default:
        return false;
    }
}

enum aster_isa aster_isa_best(void)
{
    for (int k = ASTER_N_ISAS - 1; k > 0; k--)
        if (aster_isa_here((enum aster_isa)k))
            return (enum aster_isa)k;
    return ASTER_ISA_BASE;
}

int aster_isa_find(struct aster_ctx *ctx, const char *name, enum aster_isa *out)
{
    if (!strcmp(name, "auto")) {
        *out = aster_isa_best();
        return 0;
    }
    for (int k = 0; k < ASTER_N_ISAS; k++)
        if (!strcmp(name, isa_names[k])) {
            if (!aster_isa_here((enum aster_isa)k))
                return aster_fail(ctx, ASTER_EPARAM,
                                  "isa=%s: this CPU has no %s; the best it has is %s", name, name,
                                  isa_names[aster_isa_best()]);
            *out = (enum aster_isa)k;
            return 0;
        }
    return aster_fail(ctx, ASTER_EPARAM,
                      "isa=%s: expected auto, x86-64, avx2, avx512 or avx512bf16", name);
}

const char *aster_precision_name(enum aster_dtype real, enum aster_products products)
{
    static const char *const names[ASTER_N_PRODUCTS] = {"f32", "tf32", "bf16"};
    return real == ASTER_F32 ? names[products] : aster_dtype_name(real);
}

const struct aster_backend *aster_backend_cpu(enum aster_isa isa)
{
    static const struct aster_backend *const table[ASTER_N_ISAS] = {
        &aster_backend_cpu_base, &aster_backend_cpu_avx2, &aster_backend_cpu_avx512,
        &aster_backend_cpu_avx512bf16};
    return table[isa];
}

void aster_zero_cpu(struct aster_device *d, void *p, int64_t bytes)
{
    memset(p, 0, (size_t)bytes);
}

void aster_copy_cpu(struct aster_device *d, void *to, const void *from, int64_t bytes)
{
    memcpy(to, from, (size_t)bytes);
}

const char *aster_op_name(enum aster_op_kind op)
{
    static const char *const names[ASTER_N_OPS] = {
#define ASTER_OP(name, family) #name,
#include "ops.def"
#undef ASTER_OP
    };
    return op < ASTER_N_OPS ? names[op] : "?";
}

const char *aster_op_family(enum aster_op_kind op)
{
    static const char *const names[ASTER_N_OPS] = {
#define ASTER_OP(name, family) #family,
#include "ops.def"
#undef ASTER_OP
    };
    return op < ASTER_N_OPS ? names[op] : "?";
}
