#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every golden file, ours and those of the shared test data, in double and single precision; and that damage is noticed.
# Of the two files of the full lstm, which take longest, one in double alone, but with ASTERISM_LONG=1.
: "${srcdir:=.}" "${builddir:=.}"
. "$srcdir/tests/lib/tap.sh"
own=$srcdir/tests/golden/own
data=${ASTERISM_TEST_DATA:-$srcdir/../shared/data}/rcl/golden
compare() {
    line=$("$builddir/tests/golden-rcl" "$@")
    report $? "$line"
}
for f in "$own"/*.h5; do
    compare "$f"
done
compare --poison "$own/unet.h5"
if test -d "$data"; then
    for f in "$data"/*.h5; do
        dtype=both
        test "${f##*/}" = lstm_full_blosum.h5 && test -z "${ASTERISM_LONG-}" && dtype=f64
        compare --dtype $dtype "$f"
    done
    line=$("$builddir/tests/golden-metrics" "$data/metrics_cases.json")
    report $? "$line"
else
    skip "no shared golden files: $data is not there; ASTERISM_TEST_DATA names the folder of shared test data"
fi

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
head -c 100000 "$own/cnn.h5" >"$dir/cut.h5"
! "$builddir/tests/golden-rcl" "$dir/cut.h5" "$dir/absent.h5" >"$dir/out"
report $? "a cut file and an absent file fail"
test "$(wc -l <"$dir/out")" -eq 2
report $? "with one line each"
for dtype in f64 f32; do
    ! "$builddir/tests/golden-rcl" --dtype $dtype --perturb "$own/cnn.h5" >"$dir/out"
    report $? "a weight moved by 1e-4 is noticed in $dtype"
done
if test -d "$data"; then
    sed 's/"auc": *0\.9/"auc": 0.8/' "$data/metrics_cases.json" >"$dir/wrong.json"
    ! "$builddir/tests/golden-metrics" "$dir/wrong.json" >"$dir/out" 2>&1
    report $? "a wrong expectation is noticed"
fi
finish
