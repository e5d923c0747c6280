#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# scripts/build-starpu up to where it would compile: arguments, what is missing, sources that are none or look otherwise than known.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh"
cd "$work" || exit 1
export XDG_CACHE_HOME=$work/cache TMPDIR=$work

build() {
    "$src/scripts/build-starpu" "$@" >"$out" 2>"$err" </dev/null
    rc=$?
}

build
expect 1 "no kind"
has "$err" "say which kind" "it lists the kinds"
build --cuda --simgrid
expect 1 "two kinds that exclude each other"
build --cpu --prefix
expect 1 "an option without its value"
build --cpu --frob
expect 1 "an unknown argument"
has "$err" "'--frob'" "it is named"
build --cpu --tarball nothing.tar.gz
expect 1 "a tarball that is not there"
has "$err" "nothing.tar.gz: no such file" "its name is in the message"
build --cuda="$work"
expect 1 "a folder without CUDA"
has "$err" "$work/bin/nvcc is missing" "the message names what was looked for"
build --help
expect 0 "--help"
has "$out" "--tarball FILE" "it lists the options"

# sources: tarball NAME VERSION, with what is in the folder tree
tarball() {
    mkdir -p tree/src/drivers/cuda
    printf '#!/bin/sh\nPACKAGE_VERSION=%s\nexit 3\n' "'$2'" >tree/configure
    chmod +x tree/configure
    : >tree/configure.ac
    tar -czf "$1" tree
}
if pkg-config --exists hwloc; then
    echo text >none.tar.gz
    build --cpu --tarball none.tar.gz
    expect 1 "a file that is no tarball"
    has "$err" "cannot be unpacked" "it says so"
    tarball old.tar.gz 1.4.9
    build --cpu --tarball old.tar.gz
    expect 1 "a release that is too old"
    has "$err" "StarPU 1.4.9; 1.4.10 or a later 1.4" "found and expected"
    tarball other.tar.gz 1.5.0
    build --cpu --tarball other.tar.gz
    expect 1 "another series"
    tarball new.tar.gz 1.4.11
    build --cpu --tarball new.tar.gz
    expect 1 "a configure script that fails"
    has "$err" "configure of StarPU failed" "the step is named"
    log=$(sed -n 's/.*all of it: \(.*\))$/\1/p' "$err")
    [ -f "$log" ]
    ok $? "and its log is kept"
    [ -z "$(find "$work" -name .asterism-starpu)" ]
    ok $? "nothing counts as installed"
else
    skip "no hwloc for building StarPU"
fi

# the change for CUDA 13: the source looks as known, otherwise, or needs none
if command -v nvcc >/dev/null && pkg-config --exists hwloc; then
    mkdir -p tree/src/drivers/cuda
    printf 'if (properties.computeMode == cudaComputeModeExclusive)\n' >tree/src/drivers/cuda/driver_cuda.c
    tarball changed.tar.gz 1.4.12
    build --cuda --tarball changed.tar.gz
    expect 1 "a source that looks otherwise"
    has "$err" "src/drivers/cuda/driver_cuda.c uses computeMode otherwise than known" "the file is named"
    printf '\tif (props[devid].computeMode == cudaComputeModeExclusive)\n' >tree/src/drivers/cuda/driver_cuda.c
    tarball known.tar.gz 1.4.12
    build --cuda --tarball known.tar.gz
    has "$err" "configure of StarPU failed" "a source that looks as known is taken further"
    printf 'cudaDeviceGetAttribute(\n' >tree/src/drivers/cuda/driver_cuda.c
    tarball later.tar.gz 1.4.12
    build --cuda --tarball later.tar.gz
    has "$err" "configure of StarPU failed" "one that needs no change too"
else
    skip "no nvcc here"
fi
finish
