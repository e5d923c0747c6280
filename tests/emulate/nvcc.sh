#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Each CUDA source compiles for the cards it is meant for, where nvcc is there: NVCC, on the PATH, or in the usual folder.
. "$srcdir/tests/cli/tap.sh"
nvcc=${NVCC:-$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null)}
if [ -z "$nvcc" ]; then
    skip "no nvcc: CUDA sources are compiled for the emulation only"
elif [ -z "${ASTERISM_LONG:-}" ]; then
    skip "compiling for three architectures takes minutes (make check-long)"
else
    for f in "$srcdir"/codelets/cuda/*.cu; do
        "$nvcc" -std=c++17 -Werror all-warnings -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 \
            -gencode arch=compute_100,code=sm_100 -gencode arch=compute_100,code=compute_100 -I"$srcdir/src" -I"$srcdir/codelets" \
            -c "$f" -o "$work/x.o" >"$out" 2>"$err"
        rc=$?
        expect 0 "${f##*/} for sm_80, sm_90, sm_100"
    done
fi
finish
