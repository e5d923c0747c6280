#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The dashboard as a person sees it on a terminal of 100, 70 and 40 columns: drawn in place, log lines above it, nothing of it left at the end.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh"
terminal=$(cd "${builddir:-.}" && pwd)/tests/on-terminal
cd "$work" || exit 1
data=$src/data/synthetic
tables="train_serpin=$data/serpins_train.csv train_non_serpin=$data/negatives_train.csv"
train="$ASTERISM run rcl-train $tables epochs=100000 patience=0 cnn_channels=64 cnn_kernel_sizes=3 tensorboard=false --cpus 2"

# seen ROWS COLUMNS PICTURES [NEW_COLUMNS]: a training on such a terminal from when its workers are there, stopped by control-C
seen() {
    rm -rf run
    FIRST_WORDS="cpu 0" timeout -k 5 60 "$terminal" "$@" $train --out run >"$out" 2>"$err" </dev/null
    rc=$?
    sed '/^---- end/,$d' "$out" >pictures
    sed '1,/^---- end/d' "$out" >end
}

# one WORDS: no picture has the line twice, and half of them have it; one may come while it is drawn
one() {
    awk -v words="$1" '/^---- /{ n[++k] = 0; next } index($0, words) == 1 { n[k]++ }
        END { for (i = 1; i <= k; i++) { if (n[i] > 1) bad = 1; there += n[i] } exit bad || 2 * there < k }' pictures
    ok $? "$2"
}

seen 30 100 6
if [ "$rc" = 77 ]; then
    skip "no terminal can be made here"
    finish
    exit
fi
expect 1 "stopped by control-C"
[ "$(grep -c '^---- picture' pictures)" = 6 ]
ok $? "six pictures"
one "rcl-train: train, 0:" "the head line, once"
one "cpu 0    [" "a line for worker 0, once"
one "cpu 1    [" "and for worker 1"
one "epoch " "the note of the last epoch, once"
grep -qE '^cpu 0    \[#*-*\] +[0-9]+ % busy  [0-9.]+ [MG]iB of [0-9.]+ [MG]iB  [0-9]+ tasks$' pictures
ok $? "bar, busy share, memory and tasks of a worker"
grep -qE '^\[#*-*\] +[0-9]+ %  [0-9]+/[0-9]+ done, 0 failed, [0-9.]+ items/s, .* left$' pictures
ok $? "bar, items, rate and time left of the whole"
grep -q '^\[aster\] info: train: epoch [0-9]*/' pictures
ok $? "log lines stay above it"
[ "$(grep -c '\[#*-*\]' end)" = 0 ]
ok $? "nothing of it is left at the end"
has end "stopped in epoch" "and it is said where the training stopped"
awk 'length($0) > 99 && !/^\[aster\]/ && !/^rcl/ { bad = 1 } END { exit bad }' pictures
ok $? "no line of it breaks"

seen 30 70 4
expect 1 "70 columns"
one "cpu 0  [" "narrower: a line for worker 0, once"
seen 12 40 4
expect 1 "40 columns, 12 rows"
one "cpu 0  [" "narrow: a line for worker 0, once"
one "rcl-train: train" "narrow: the head line, once"
seen 30 100 8 120
expect 1 "a terminal that grows"
one "cpu 0    [" "grown: a line for worker 0, once"
$train --out plain 2>lines </dev/null &
sleep 0.5
kill -INT $!
wait $!
[ "$(tr -dc '\033' <lines | wc -c)" = 0 ]
ok $? "no control sequences where there is no terminal"
finish
