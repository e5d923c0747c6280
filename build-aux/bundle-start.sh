#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Starts asterism @VERSION@, or as check-gpu its tests for GPUs, from its bundle with the CUDA libraries of this machine, or without
# when there are none.
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd) || exit 1
IFS='
'
# Folders that may hold CUDA's libraries: those named, a toolkit's, the system's, those of a Python environment.
folders() {
    printf '%s\n' "$ASTERISM_CUDA_LIBRARIES" "$LD_LIBRARY_PATH" | tr ':' '\n'
    for d in "$CUDA_HOME/lib64" "$CUDA_PATH/lib64" /usr/local/cuda/lib64 /usr/local/cuda-*/lib64 /usr/lib/x86_64-linux-gnu /usr/lib64 \
        "$CONDA_PREFIX/lib"; do
        printf '%s\n' "$d"
    done
    python=$(command -v python3 || command -v python) && python=$(dirname -- "$(dirname -- "$(readlink -f -- "$python")")")
    for root in "$VIRTUAL_ENV" "$CONDA_PREFIX" "$HOME/.local" "$python" /usr/local /usr; do
        [ -n "$root" ] || continue
        for d in "$root"/lib/python3*/site-packages/nvidia/*/lib "$root"/lib/python3*/dist-packages/nvidia/*/lib; do
            printf '%s\n' "$d"
        done
    done
}
for d in $(printf '%s' "$ASTERISM_CUDA_LIBRARIES" | tr ':' '\n'); do
    case $d in /*) ;; *) echo "asterism: ASTERISM_CUDA_LIBRARIES: '$d' is not looked into; the path of a folder from / on is expected" >&2 ;; esac
done
found='' missing=''
all=$(folders)
for soname in $(cat "$here/lib/cuda-libraries"); do
    in=
    for d in $all; do
        case $d in /*) [ -e "$d/$soname" ] && in=$d && break ;; esac
    done
    if [ -z "$in" ]; then
        missing="$missing $soname"
    else
        case ":$found:" in *":$in:"*) ;; *) found="$found${found:+:}$in" ;; esac
    fi
done
if [ -n "$missing" ]; then
    export ASTERISM_CUDA_MISSING="${missing# }"
    found=$here/lib/no-cuda
    if [ -e /proc/driver/nvidia/version ]; then
        echo "asterism: this machine has an NVIDIA driver, but no$missing; ASTERISM_CUDA_LIBRARIES may name their folders (see asterism info)" >&2
    fi
fi
unset IFS
export ASTERISM_START="$here/bin/asterism"
export LD_LIBRARY_PATH="$found${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
case ${0##*/} in
check-gpu) exec bash "$here/libexec/check-gpu" "$here/bin/asterism" "$here/libexec" "$here"/share/asterism/golden/*.h5 "$@" ;;
*) exec "$here/libexec/asterism" "$@" ;;
esac
