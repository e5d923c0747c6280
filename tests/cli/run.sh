#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Small runs from the command line: exit status, the last line, quiet, log file, signals, resume, report, convert.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh"
cd "$work" || exit 1
small="cnn_channels=2 cnn_kernel_sizes=1 tensorboard=false"

# shellcheck disable=SC2086
asterism run rcl-train epochs=1 $small --out first --log-file log.txt
expect 0 "a training"
empty "$out" "it prints nothing on stdout"
tail -n 1 "$err" | grep -qE '^\[aster\] info: [0-9]+ items, 0 failed, .* s, [0-9]+ % busy, peak memory [0-9.]+ [KMG]iB, in first$'
ok $? "the last line has items, failed, wall, busy, peak memory and folder"
grep -qE '^20[0-9-]+T[0-9:]+Z info: .*, in first$' log.txt
ok $? "the log file has the same, with the time"
grep -q "epochs=1" first/run.yaml
ok $? "the command line is kept"
asterism run rcl-train epochs=1 $small --out first
expect 1 "a folder that holds a run"
has "$err" "--resume" "the message says how to go on"

asterism run rcl-train epochs=1 $small --out second --quiet
expect 0 "--quiet"
empty "$err" "it says nothing"
cmp -s first/history.csv second/history.csv || cut -d, -f1-4 first/history.csv | diff - <(cut -d, -f1-4 second/history.csv) >/dev/null
ok $? "the same values as before"

# items that fail
printf '>good\nMKLVAAGGTTSSRREEDDKKLLIIVV\n>empty\n>more\nMKKLLAAXXZZ\n' >some.fasta
asterism run rcl-predict input=some.fasta model=first probabilities=true --out some
expect 2 "an item that fails"
grep -qP '^empty\t' some/failed_items.tsv
ok $? "it is listed"
has "$err" "3 items, 1 failed" "and counted"
"$ASTERISM" run rcl-predict input=- model=first --out stdin <some.fasta >"$out" 2>"$err"
rc=$?
expect 2 "the standard input"
asterism run rcl-predict input=nothing.fasta model=first
expect 1 "an input that is not there"
has "$err" "argument 'input=nothing.fasta': cannot read 'nothing.fasta': No such file or directory" "it is named"

# signals
begin() {
    "$ASTERISM" run rcl-train epochs=6 patience=0 $small --out "$1" >"$out" 2>"$err" </dev/null &
    pid=$!
    for _ in $(seq 600); do
        grep -q 'epoch 1/6' "$err" && break
        sleep 0.1
    done
}
begin third
kill -INT $pid
wait $pid
rc=$?
expect 1 "SIGINT ends a run"
has "$err" "the same command with --out third --resume goes on from here" "and says how to go on"
[ -f third/checkpoint.h5 ]
ok $? "there is a checkpoint"
begin fourth
kill -INT $pid
kill -TERM $pid
wait $pid 2>/dev/null
rc=$?
[ "$rc" = 130 ] || [ "$rc" = 143 ]
ok $? "the second signal ends it at once"
asterism run rcl-train epochs=6 patience=0 learning_rate=0.5 $small --out third --resume
expect 1 "another parameter on resume"
has "$err" "learning_rate" "it is named"
asterism run rcl-train epochs=6 patience=0 $small --out third --resume
expect 0 "--resume"
asterism run rcl-train epochs=6 patience=0 $small --out whole
[ "$(wc -l <third/history.csv)" = 7 ] && diff <(cut -d, -f1-4 third/history.csv) <(cut -d, -f1-4 whole/history.csv) >/dev/null
ok $? "a stopped and resumed training has the values of one that was not"

# a model whose tasks take so long that a look at the workers, twice a second, finds one in a task
"$ASTERISM" run rcl-train epochs=50 patience=0 tensorboard=false --cpus 1 --out long --stall 0.00001 >"$out" 2>"$err" </dev/null &
pid=$!
for _ in $(seq 600); do
    grep -q 'one task has taken' "$err" && break
    sleep 0.1
done
kill -KILL $pid
wait $pid 2>/dev/null
rc=$?
has "$err" "cpu 0: one task has taken" "a worker that is long in one task is told of"
asterism run rcl-train $small --stall soon
has "$err" "--stall: expected seconds, 0 or more, found 'soon'" "when that is takes a number"

# what the machine does not have is said before there is a run
machine_lacks() { # machine_lacks OPTION VALUE TEXT
    asterism run rcl-train epochs=1 $small --out never "$1" "$2"
    expect 1 "$1 $2"
    has "$err" "$3" "the message says why"
    [ ! -e never ]
    ok $? "no folder is left"
    asterism check rcl-train epochs=1 $small "$1" "$2"
    expect 1 "check finds $1 $2 too"
}
machine_lacks --cpus 4000 "cpus=4000: this StarPU was built for at most"
machine_lacks --cpus 0 "cpus=0: no worker is left"
"$ASTERISM" info | grep -q '^  gpus  *none' && machine_lacks --gpus 0 "; leave gpus out, or give none"
machine_lacks --scheduler lsw "scheduler=lsw: this StarPU has no such policy; nearest: lws"

# never to stop is no reason to lower the learning rate at once: it is kept for two epochs that are not better
asterism run rcl-train epochs=6 patience=0 $small monitor=val_loss mode=max --out patient
awk -F, 'NR > 1 && NR <= 4 && $11 != 0.001 { bad = 1 } END { exit bad || NR != 7 }' patient/history.csv
ok $? "patience=0 keeps the learning rate for the first three epochs"

# report and convert
rm -f first/report.html
asterism report first
expect 0 "report"
[ "$(cat "$out")" = first/report.html ] && [ -s first/report.html ]
ok $? "it is made, and its name printed"
for part in "best validation F1" "wall time" "workers busy" ">Loss<" ">MCC<" "Busy share of each worker" "<th class=\"n\">epoch</th>" "Parameters</summary>"; do
    has first/report.html "$part" "the report has: $part"
done
grep -qE 'prefers-color-scheme|(src|href)=|url\(|@import' first/report.html
[ $? = 1 ]
ok $? "dark on light whatever the reader's settings, and nothing from outside"
asterism report some
has some/report.html "1 item is without a result" "a report says that items have no result"
has some/report.html "Items without a result" "and lists them"
asterism run rcl-train epochs=1 $small --out traced --trace
has traced/report.html "longest ms" "with --trace the report sums tasks up by codelet"
has traced/timeline.svg ">train</text>" "and draws them by codelet"
asterism convert first folder.safetensors
expect 0 "a run folder stands for its best model"
asterism convert first/best_model.h5 a.safetensors
expect 0 "convert to safetensors"
asterism convert a.safetensors b.h5
expect 0 "and back to HDF5"
asterism convert b.h5 c.safetensors
cmp -s a.safetensors c.safetensors && cmp -s a.safetensors folder.safetensors
ok $? "the way there and back keeps every bit"
for model in a.safetensors b.h5; do
    asterism run rcl-predict input=some.fasta model=$model --out "with-$model" probabilities=true
    cmp -s some/some_onehot_all_thr0p50.csv "with-$model/some_onehot_all_thr0p50.csv" && grep -q '^good,' "with-$model/some_onehot_all_thr0p50.csv"
    ok $? "$model predicts the same"
done
finish
