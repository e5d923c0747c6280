#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A run killed at random moments and resumed ends with the same bytes as one that was left alone: prediction and training.
# ASTERISM_KILLS: how many kills of each (4; 50 in the long tests). ASTERISM_SEED picks the moments again.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh"
data=$src/data/synthetic
kills=${ASTERISM_KILLS:-$([ -n "${ASTERISM_LONG-}" ] && echo 50 || echo 4)}
seed=${ASTERISM_SEED:-$$}
RANDOM=$seed
echo "# ASTERISM_SEED=$seed, $kills kills of each"
cd "$work" || exit 1

# The tensors of a weights file without its header, which names the time of writing.
tensors() {
    rm -f "$2"
    asterism convert "$1" "$work/t.safetensors" --force
    [ "$rc" = 0 ] || return 1
    set -- "$2" $(od -An -tu8 -N8 "$work/t.safetensors")
    tail -c "+$(($2 + 9))" "$work/t.safetensors" >"$1"
}

# killed DIR MS ARGUMENTS...: starts, kills after a random time below MS, resumes; kills times. Then to the end: sets rc.
killed() {
    local dir=$1 span=$2 n=0 done_early=0 pid
    shift 2
    while [ $n -lt "$kills" ]; do
        "$ASTERISM" run "$@" --out "$dir" --resume --quiet >"$out" 2>"$err" </dev/null &
        pid=$!
        sleep "$(awk -v s="$span" -v r="$RANDOM" 'BEGIN { printf "%.3f", (0.02 + 0.98 * r / 32767) * s / 1000 }')"
        kill -9 $pid 2>/dev/null || done_early=$((done_early + 1))
        wait $pid 2>/dev/null
        n=$((n + 1))
    done
    echo "# $dir: $kills kills, $done_early of them after the end"
    asterism run "$@" --out "$dir" --resume --quiet
}

milliseconds() {
    local t=${EPOCHREALTIME/./}
    echo $((t / 1000))
}

# -- training
train="rcl-train model=unet unet_base_filters=4 unet_depth=2 epochs=4 max_length=256 checkpoint_steps=2 save_top_k=2"
train="$train train_serpin=$data/serpins_train.csv train_non_serpin=$data/negatives_train.csv"
t0=$(milliseconds)
asterism run $train --out whole --quiet
expect 0 "training, left alone"
killed broken $((($(milliseconds) - t0) * 3 / kills + 300)) $train
expect 0 "training, killed and resumed"
cmp -s whole/training_history.json broken/training_history.json
ok $? "the same training_history.json"
cut -d, -f1-11,13 whole/history.csv >h1
cut -d, -f1-11,13 broken/history.csv >h2
cmp -s h1 h2
ok $? "the same history.csv but for the seconds"
for file in best_model final_model; do
    tensors whole/$file.h5 w1 && tensors broken/$file.h5 w2 && [ -s w1 ] && cmp -s w1 w2
    ok $? "the same tensors in $file.h5"
done
(cd whole && ls | grep -v svg) >l1
(cd broken && ls | grep -v svg) >l2
diff l1 l2 >"$out"
ok $? "the same files"
[ -z "$(find broken -name '*.tmp')" ]
ok $? "and nothing half-written"

# -- prediction: a thousand records, some of which have no result
for i in $(seq 8); do
    sed "s/^>/>r${i}_/" "$data/predict.fasta"
    echo ">too_long_$i"
    head -c 300 /dev/zero | tr '\0' A
    echo
    echo ">empty_$i"
done >input.fasta
predict="rcl-predict model=whole input=input.fasta shard_size=16 batch_size=4 seq_fasta=true rcl_fasta=true annotated_fasta=true"
predict="$predict probabilities=true threshold=0.3 min_consecutive=3"
t0=$(milliseconds)
asterism run $predict --out p_whole --quiet
expect 2 "prediction, left alone"
killed p_broken $((($(milliseconds) - t0) * 3 / kills + 300)) $predict
expect 2 "prediction, killed and resumed"
for file in p_whole/input_*thr* p_whole/failed_items.tsv; do
    cmp -s "$file" "p_broken/${file#*/}"
    ok $? "the same ${file#*/}"
done
[ "$(ls p_whole/input_*thr* | wc -l)" = 5 ]
ok $? "five files of results"
[ "$(wc -l <p_whole/failed_items.tsv)" = "$(($(grep -c '^>too_long\|^>empty' input.fasta) + $(awk '/^>/ { if (n > 256) k++; n = 0; next } { n += length($0) } END { print k + (n > 256) }' "$data/predict.fasta") * 8 + 1))" ]
ok $? "every record without a result is listed"
[ ! -e p_broken/shards ]
ok $? "the shards are gone"
if command -v h5dump >/dev/null; then
    h5dump p_whole/results.h5 | sed 1d >d1
    h5dump p_broken/results.h5 | sed 1d >d2
    [ -s d1 ] && cmp -s d1 d2
    ok $? "the same results.h5"
else
    skip "results.h5: no h5dump here"
fi

# -- a damaged shard and a torn line of the manifest are computed again
"$ASTERISM" run $predict --out p_torn --quiet >"$out" 2>"$err" </dev/null &
pid=$!
for _ in $(seq 600); do
    [ "$(wc -l 2>/dev/null <p_torn/shards/predict/manifest.tsv)" -ge 3 ] 2>/dev/null && break
    sleep 0.05
done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
first=$(ls p_torn/shards/predict/part-*.h5 2>/dev/null | head -n 1)
if [ -n "$first" ]; then
    printf 'x' | dd of="$first" bs=1 seek=100 conv=notrunc 2>/dev/null
    printf '999\t12' >>p_torn/shards/predict/manifest.tsv
    asterism run $predict --out p_torn --resume
    expect 2 "resumed over a damaged shard"
    has "$err" "is not the file that was committed" "which is said"
    cmp -s p_whole/input_onehot_all_thr0p30.csv p_torn/input_onehot_all_thr0p30.csv
    ok $? "the same results"
else
    skip "the run was over before it could be killed"
fi

# -- two runs in one folder, other parameters, other inputs
flock -n p_broken/lock -c "'$ASTERISM' run $predict --out p_broken --resume >'$out' 2>'$err' </dev/null"
rc=$?
expect 1 "a folder in use"
has "$err" "is in use by another run" "is refused"
asterism run $predict --out p_broken
expect 1 "a folder with a run"
has "$err" "already holds a run" "needs --resume"
asterism run $predict min_rcl_length=9 --out p_broken --resume
expect 1 "resuming with another parameter"
has "$err" "was begun with min_rcl_length=7, now it is 9" "is refused"
asterism run $predict --out p_broken --resume
expect 2 "resuming a finished run"
has "$err" "nothing to resume" "does nothing"
finish
