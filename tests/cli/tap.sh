# SPDX-License-Identifier: BSD-3-Clause
# TAP for shell tests: sourced. Every command's output is kept in $out and $err, its exit status in $rc.
set -u
LC_ALL=C
export LC_ALL
n_tests=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
out=$work/out err=$work/err

# Runs the program in the current folder.
asterism() {
    "$ASTERISM" "$@" >"$out" 2>"$err" </dev/null
    rc=$?
}

# ok STATUS NAME: 0 is good.
ok() {
    n_tests=$((n_tests + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n_tests - $2"
    else
        echo "not ok $n_tests - $2"
        echo "# exit status ${rc-none}"
        head -n 12 "$out" | sed 's/^/# out: /'
        head -n 12 "$err" | sed 's/^/# err: /'
    fi
}

skip() {
    n_tests=$((n_tests + 1))
    echo "ok $n_tests # SKIP $1"
}

# expect RC NAME: the last command's exit status.
expect() {
    [ "$rc" = "$1" ]
    ok $? "$2: exit status $1"
}

# has FILE TEXT NAME: the text is in the file, as it stands.
has() {
    grep -qF -- "$2" "$1"
    ok $? "$3"
}

# same_bytes FILE RUN...: the bytes of a file in runs are those in the first.
same_bytes() {
    local file=$1 first=$2
    shift 2
    for run in "$@"; do
        cmp -s "$first/$file" "$run/$file"
        ok $? "$file of $run: the bytes of $first"
    done
}

empty() {
    [ ! -s "$1" ]
    ok $? "$2"
}

finish() {
    echo "1..$n_tests"
}
