#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Language models against the shared golden files: the small ones, with ASTERISM_LONG=1 all, with ASTERISM_SHORT=1 a few; and that damage is noticed.
: "${srcdir:=.}" "${builddir:=.}"
. "$srcdir/tests/lib/tap.sh"
shared esm2 dnabert/models
data=$shared_data
compare() { # PROGRAM ARGUMENTS...
    program=$builddir/tests/$1
    shift
    line=$("$program" "$@")
    report $? "$line"
}
esm2="tiny odd wide_bf16 h128_f16 outlier esm2_t6_8M"
dnabert="l3_h96_a12 l2_h60_a5 l2_h64_a8 l1_h64_a1 l2_h21_a3_v4096"
if test -n "$ASTERISM_SHORT"; then # slow programs: one of each kind
    esm2="odd h128_f16 outlier"
    dnabert="l2_h60_a5 l2_h64_a8"
fi
if test -n "$ASTERISM_LONG"; then
    esm2="$esm2 esm2_t12_35M esm2_t30_150M esm2_t33_650M esm2_3B_first3 esm2_15B_first1"
    dnabert="$dnabert full"
fi
for f in $esm2; do
    compare golden-esm2 "$data/esm2/$f.h5"
done
compare golden-esm2 --poison "$data/esm2/odd.h5"
for f in $dnabert; do
    compare golden-dnabert "$data/dnabert/models/$f/golden.h5"
done
compare golden-dnabert --poison "$data/dnabert/models/l2_h60_a5/golden.h5"
for f in token_ids token_ids_special token_windows; do
    compare golden-dnabert "$data/dnabert/$f.tsv"
done

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# noticed WHAT LINES PROGRAM ARGUMENTS...: fails, with so many lines
noticed() {
    what=$1
    lines=$2
    program=$builddir/tests/$3
    shift 3
    "$program" "$@" >"$dir/out" 2>&1
    test $? -eq 1 && test "$(wc -l <"$dir/out")" -eq "$lines"
    report $? "$what"
}
for dtype in f64 f32; do
    noticed "ESM-2: a weight moved by 1% is noticed in $dtype" 1 golden-esm2 --dtype $dtype --perturb "$data/esm2/odd.h5"
    noticed "DNABERT-S: a weight moved by 1% is noticed in $dtype" 1 golden-dnabert --dtype $dtype --perturb "$data/dnabert/models/l2_h60_a5/golden.h5"
done
head -c 100000 "$data/esm2/odd.h5" >"$dir/cut.h5"
noticed "a cut file, an absent one and one of another kind fail" 3 golden-esm2 "$dir/cut.h5" "$dir/absent.h5" \
    "$data/dnabert/models/l2_h60_a5/golden.h5"
mkdir -p "$dir/dnabert"
ln -s "$data/virnucpro" "$dir/virnucpro"
sed '3s/ 2$/ 3/' "$data/dnabert/token_ids.tsv" >"$dir/dnabert/token_ids.tsv"
noticed "a wrong token id is noticed" 1 golden-dnabert "$dir/dnabert/token_ids.tsv"
finish
