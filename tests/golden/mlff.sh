#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A force field against the shared golden files, and that damage is noticed.
: "${srcdir:=.}" "${builddir:=.}"
. "$srcdir/tests/lib/tap.sh"
shared mlff/golden mlff/weights
data=$shared_data/mlff
program=$builddir/tests/golden-mlff
compare() {
    line=$("$program" "$@")
    report $? "$line"
}
files="molecules_tiny molecules_ultra_tiny molecules_random_f16l1 molecules_random_f48l4 batches periodic training md checks molecules_original"
perturbed="molecules_random_f16l1 periodic training md checks"
if test -n "$ASTERISM_SHORT"; then # slow programs: one of each kind
    files="molecules_random_f16l1 training md"
    perturbed=molecules_random_f16l1
fi
for f in $files; do
    compare "$data/golden/$f.h5"
done
compare --poison "$data/golden/molecules_random_f16l1.h5" "$data/golden/training.h5"
compare --weights "$data/weights/tiny.h5" "$data/golden/batches.h5"
if test -z "$ASTERISM_SHORT"; then
    compare --isa x86-64 "$data/golden/molecules_random_f48l4.h5"
fi

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# noticed WHAT LINES ARGUMENTS...: fails, with so many lines
noticed() {
    what=$1
    lines=$2
    shift 2
    "$program" "$@" >"$dir/out" 2>&1
    test $? -eq 1 && test "$(wc -l <"$dir/out")" -eq "$lines"
    report $? "$what"
}
for f in $perturbed; do
    noticed "a weight moved by 1% is noticed in f64: $f" 1 --dtype f64 --perturb "$data/golden/$f.h5"
done
for f in molecules_random_f16l1 training; do
    noticed "a weight moved by 1% is noticed in f32: $f" 1 --dtype f32 --perturb "$data/golden/$f.h5"
done
head -c 100000 "$data/golden/batches.h5" >"$dir/cut.h5"
noticed "a cut file, an absent one and one of another kind fail" 3 "$dir/cut.h5" "$dir/absent.h5" "$data/weights/tiny.h5"
noticed "weights of another model fail" 1 --weights "$data/weights/tiny.h5" "$data/golden/molecules_ultra_tiny.h5"
finish
