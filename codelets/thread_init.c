/* SPDX-License-Identifier: BSD-3-Clause */
/* What every thread that runs kernels sets once: denormals to zero, libraries to one thread. */
#include "backend.h"

#include <dlfcn.h>
#if defined __SSE2__
#include <xmmintrin.h>
#endif

enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };

/* Programs that call no such library do not load it. */
static void to_one_thread(const char *name)
{
    void (*set_threads)(int) = NULL;
    *(void **)&set_threads = dlsym(RTLD_DEFAULT, name);
    if (set_threads)
        set_threads(1);
}

void aster_kernel_thread_init(void)
{
#if defined __SSE2__
    _mm_setcsr(_mm_getcsr() | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
#endif
    to_one_thread("openblas_set_num_threads");
    /* oneDNN brings the OpenMP library along; its number of threads is a setting of each thread */
    to_one_thread("omp_set_num_threads");
}

bool aster_kernel_flushes_denormals(void)
{
#if defined __SSE2__
    return (_mm_getcsr() & (FLUSH_TO_ZERO | DENORMALS_ARE_ZERO)) ==
           (FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
#else
    return false;
#endif
}
