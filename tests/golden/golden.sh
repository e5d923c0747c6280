#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every golden file of the shared test data, in double and single precision; and that damage to one is noticed.
: "${srcdir:=.}" "${builddir:=.}"
data=${ASTERISM_TEST_DATA:-$srcdir/../shared/data}/rcl/golden
if ! test -d "$data"; then
    echo "1..0 # SKIP no golden files: $data is not there; ASTERISM_TEST_DATA names the folder of shared test data"
    exit 0
fi
n=0
failed=0
report() {
    n=$((n + 1))
    if test "$1" -eq 0; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=1
    fi
}
for f in "$data"/*.h5; do
    line=$("$builddir/tests/golden-rcl" "$f")
    report $? "$line"
done
line=$("$builddir/tests/golden-metrics" "$data/metrics_cases.json")
report $? "$line"

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
head -c 100000 "$data/cnn_small_esm2dim.h5" >"$dir/cut.h5"
! "$builddir/tests/golden-rcl" "$dir/cut.h5" "$dir/absent.h5" >"$dir/out"
report $? "a cut file and an absent file fail"
test "$(wc -l <"$dir/out")" -eq 2
report $? "with one line each"
! "$builddir/tests/golden-rcl" --dtype f64 --perturb "$data/cnn_small_esm2dim.h5" >"$dir/out"
report $? "a weight moved by 1e-4 is noticed"
! "$builddir/tests/golden-rcl" --dtype f32 --perturb "$data/cnn_small_esm2dim.h5" >"$dir/out"
report $? "in single precision too"
sed 's/"auc": *0\.9/"auc": 0.8/' "$data/metrics_cases.json" >"$dir/wrong.json"
! "$builddir/tests/golden-metrics" "$dir/wrong.json" >"$dir/out" 2>&1
report $? "a wrong expectation is noticed"
echo "1..$n"
exit $failed
