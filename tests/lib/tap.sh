# SPDX-License-Identifier: BSD-3-Clause
# TAP for shell tests, to be sourced: report STATUS NAME for each check (0 is good), skip WHY, finish at the end.
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
skip() {
    n=$((n + 1))
    echo "ok $n # SKIP $1"
}
finish() {
    echo "1..$n"
    exit $failed
}
# shared FOLDER...: goes on where all these folders of the shared test data are there, else ends with one skip.
shared() {
    shared_data=${ASTERISM_TEST_DATA:-$srcdir/../shared/data}
    for folder in "$@"; do
        test -d "$shared_data/$folder" && continue
        echo "1..0 # SKIP $shared_data/$folder is not there; ASTERISM_TEST_DATA names the folder of shared test data"
        exit 0
    done
    shared_data=$(cd "$shared_data" && pwd)
}
