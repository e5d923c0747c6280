#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Files of ours that are damaged or another's, folders that are taken, full disks: a clear end each, nothing that was there
# lost, and a run goes on when the way is free again.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/fault/bad.sh" || exit 1
disk=
trap '[ -z "$disk" ] || umount "$disk"; rm -rf "$work"' EXIT

# ---- weights
model() { # model FILE WORDS: by rcl-predict
    bad 1 "model: $1" "$1|$2" run rcl-predict --quiet input=two.fasta model="$1"
}
changed() { # changed NAME COMMAND [ARGUMENTS]: a copy of the model with one change
    cp t/best_model.h5 "$1.h5"
    "$make_inputs" "$2" "$1.h5" "${@:3}" || ok 1 "changed $*"
}
model nowhere 'there is no such file'
mkdir no_run two_models
model no_run "has no best_model.h5 and 0 other weights files; name one file"
cp t/best_model.h5 two_models/a.h5
cp t/best_model.h5 two_models/b.h5
model two_models "has no best_model.h5 and 2 other weights files; name one file"
: >nothing.h5
model nothing.h5 'is no HDF5 file (it is empty)'
model in/good.h5 'is no model file of this program|attributes model and encoding are missing'
changed other_model set model text '{"name": "gnn"}'
model other_model.h5 "its model description has no text 'kind'"
changed no_model set model text 'nonsense'
model no_model.h5 "'/' has no attribute 'max_length'"
changed bad_json set model text '{"kind": '
model bad_json.h5 'the text ends here; a value is expected'
changed int_model set model int 7
model int_model.h5 "attribute 'model' is no text"
changed other_encoding set encoding text blosum
model other_encoding.h5 'its model reads 21 values per residue, its encoding blosum gives 20'
changed unknown_encoding set encoding text quaternary
model unknown_encoding.h5 "its encoding is 'quaternary', expected onehot, blosum, esm2 or esm2_650m"
changed no_encoding drop encoding
model no_encoding.h5 'attributes model and encoding are missing'
changed no_class_weight drop class_weight_0
model no_class_weight.h5 "'/' has no attribute 'class_weight_0'"
changed text_class_weight set class_weight_0 text heavy
model text_class_weight.h5 "attribute 'class_weight_0' is no number"
tensor=weights/conv_layers.0.conv.weight
changed no_tensor drop $tensor
model no_tensor.h5 "'$tensor'"
changed flat_tensor replace $tensor numbers
model flat_tensor.h5 "has shape [3], the model expects [4, 21, 3]"
changed text_tensor replace weights/output.0.bias text
model text_tensor.h5 "'weights/output.0.bias': is text, numbers are expected"
changed text_scale replace buffers/conv_layers.0.bn.running_var text
model text_scale.h5 "'conv_layers.0.bn.running_var' has shape [2], the model expects [4]"
changed nan_tensor poke $tensor
model nan_tensor.h5 "'$tensor': element 0 is nan; a finite number is expected"

# tensors FILE: the bytes of its tensors as a file of the same name and ending .tensors
tensors() {
    rm -f "$1.tensors"
    asterism convert "$1" conv.safetensors --force
    [ "$rc" = 0 ] && tail -c "+$(($(od -An -tu8 -N8 conv.safetensors) + 9))" conv.safetensors >"$1.tensors"
}
tensors t/best_model.h5
size=$(stat -c %s t/best_model.h5)
for n in 8 100 3000 $((size / 2)) $((size - 1)); do
    head -c "$n" t/best_model.h5 >short.h5
    model short.h5 'cannot be opened as HDF5'
done
# flip FILE AT: its byte there becomes another
flip() {
    printf "\\x$(printf %02x $(($(od -An -tu1 -j"$2" -N1 "$1") ^ 0x21)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
wrong=0 refused=0
for at in $(seq 3 $((size / 40)) $((size - 1))); do
    cp t/best_model.h5 flipped.h5
    flip flipped.h5 "$at"
    tensors flipped.h5
    if [ "$rc" = 1 ]; then
        refused=$((refused + 1))
        grep -q '^\[aster\] error: flipped.h5: ' "$err" || { wrong=$((wrong + 1)); echo "# byte $at: $(head -n 1 "$err")"; }
    elif [ "$rc" != 0 ] || ! cmp -s flipped.h5.tensors t/best_model.h5.tensors; then
        wrong=$((wrong + 1))
        echo "# byte $at: exit status $rc"
    fi
done
[ $wrong = 0 ] && [ $refused -ge 20 ]
ok $? "model: a changed byte in 40 places is noticed ($refused) or changes nothing"

# ---- weights as safetensors
asterism convert t/best_model.h5 good.safetensors
fine "safetensors: a good one" run rcl-predict --quiet input=two.fasta model=good.safetensors
st() { # st NAME HEADER BYTES WORDS: a file of that header and so many bytes of data
    local n=${#2}
    printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x\\x00\\x00\\x00\\x00' $((n & 255)) $((n >> 8 & 255)) $((n >> 16 & 255)) $((n >> 24 & 255)))" >"$1.safetensors"
    printf '%s' "$2" >>"$1.safetensors"
    head -c "$3" /dev/zero >>"$1.safetensors"
    model "$1.safetensors" "$4"
}
entry() { echo "\"$1\":{\"dtype\":\"$2\",\"shape\":[$3],\"data_offsets\":[$4,$5]}"; }
st st_list '[1]' 0 "its header does not start with '{'"
st st_json '{"a":' 0 'the text ends here; a value is expected'
st st_dtype "{$(entry a F13 2 0 8)}" 8 "tensor 'a' has the unknown dtype 'F13'"
st st_overlap "{$(entry a F32 2 0 8),$(entry b F32 2 4 12)}" 12 "tensor 'b' begins at byte 4 of the data and overlaps 'a'"
st st_hole "{$(entry a F32 2 0 8),$(entry b F32 2 12 20)}" 20 "a hole of 4 bytes in the data before tensor 'b'"
st st_beyond "{$(entry a F32 2 0 8)}" 7 "tensor 'a' ends at byte 8 of the data; the file has 7"
st st_rest "{$(entry a F32 2 0 8)}" 9 '1 bytes after the last tensor'
st st_size "{$(entry a F32 3 0 8)}" 8 "tensor 'a': 3 elements of F32 have 12 bytes, its data_offsets hold 8"
st st_negative "{$(entry a F32 -2 0 8)}" 8 "tensor 'a': its shape has the negative number -2"
st st_product "{$(entry a F32 4294967296,4294967296 0 8)}" 8 "tensor 'a': the product of its shape does not fit 64 bits"
st st_twice "{$(entry a F32 2 0 8),$(entry a F32 2 8 16)}" 16 "'a'"
st st_fields '{"a":{"dtype":"F32"}}' 0 "tensor 'a' has no shape; a list of integers is expected"
st st_foreign "{$(entry a F32 2 0 8)}" 8 'its metadata name no model and encoding'
printf '\xff\xff\xff\xff\xff\xff\xff\x7f{}' >st_length.safetensors
model st_length.safetensors 'header length too large: it claims 9223372036854775807 bytes, the file has 2 after it'
printf 'abc' >st_short.safetensors
model st_short.safetensors 'has 3 bytes; a safetensors file starts with 8 bytes of header length'
head -c -1 good.safetensors >st_cut.safetensors
model st_cut.safetensors "ends at byte"
sed 's/conv_layers.0.conv.bias/conv_layers.9.conv.bias/' good.safetensors >st_name.safetensors
model st_name.safetensors "has no tensor 'conv_layers.0.conv.bias'"
sed 's/"shape":\[4,21,3\]/"shape":[4,3,21]/' good.safetensors >st_shape.safetensors
model st_shape.safetensors "'conv_layers.0.conv.weight' has shape [4, 3, 21], the model expects [4, 21, 3]"
{ head -c -4 good.safetensors; printf '\x00\x00\xc0\x7f'; } >st_nan.safetensors
model st_nan.safetensors 'is nan; a finite number is expected'
bad 1 "convert: onto what is there" 'good.safetensors is there already; --force replaces it' convert t/best_model.h5 good.safetensors
bad 1 "convert: into nowhere" 'nowhere/x.h5.tmp: cannot be made: No such file or directory' convert t/best_model.h5 nowhere/x.h5
bad 1 "convert: a table" 'is neither a zip archive of torch nor safetensors nor HDF5' convert table.csv x.h5

# ---- checkpoints of a training that is not over
stopped() { # a copy of the run that looks as if it were stopped after its first epoch
    rm -rf c
    cp -r one_epoch c
    sed -i 's/^state: "done"/state: "stopped"/' c/run.yaml
}
resumed() { # resumed NAME WORDS: the copy does not go on
    bad 1 "checkpoint: $1" "$2" $train train_serpin=table.csv --out c --resume
}
fine "checkpoint: the training" $train train_serpin=table.csv --out one_epoch
stopped
fine "checkpoint: is resumed" $train train_serpin=table.csv --out c --resume
for n in 0 8 500 5000; do
    stopped
    head -c "$n" one_epoch/checkpoint.h5 >c/checkpoint.h5
    resumed "cut to $n bytes" 'c/checkpoint.h5: '
done
stopped
flip c/checkpoint.h5 9
resumed "a byte of its head" 'c/checkpoint.h5: cannot be opened as HDF5'
for part in weights/output.0.weight adam_m/output.0.weight adam_v/output.0.weight buffers/conv_layers.0.bn.running_var; do
    stopped
    "$make_inputs" poke c/checkpoint.h5 $part
    resumed "not finite" "c/checkpoint.h5: '$part': element 0 is nan; a finite number is expected"
done
stopped
"$make_inputs" drop c/checkpoint.h5 adam_v
resumed "without its optimizer" "c/checkpoint.h5: has no group 'adam_v'"
stopped
"$make_inputs" drop c/checkpoint.h5 asterism_checkpoint
resumed "another program's" 'c/checkpoint.h5: is no checkpoint of this program (attribute asterism_checkpoint is missing)'
stopped
"$make_inputs" set c/checkpoint.h5 asterism_checkpoint int 99
resumed "another version's" 'c/checkpoint.h5: format 99, this program reads 1'
stopped
"$make_inputs" drop c/checkpoint.h5 lr
resumed "without learning rate" "c/checkpoint.h5: '/' has no attribute 'lr'"
stopped
"$make_inputs" set c/checkpoint.h5 epoch int -1
resumed "a negative epoch" 'c/checkpoint.h5: its counters are out of range; it is damaged'
stopped
"$make_inputs" set c/checkpoint.h5 batch int 1000
resumed "beyond the epoch" 'c/checkpoint.h5: it is at batch 1000 of'
stopped
"$make_inputs" set c/checkpoint.h5 step text many
resumed "a text for a number" "c/checkpoint.h5: '/': attribute 'step' is no number"
stopped
"$make_inputs" set c/checkpoint.h5 config text 'model: none'
resumed "of another configuration" 'c/checkpoint.h5 was made by another configuration'
bad 0 "another model: trained" '' run rcl-train --quiet ${tiny/channels=4/channels=5} train_serpin=table.csv train_non_serpin="$data/negatives_train.csv" --out other
stopped
cp other/checkpoint.h5 c/checkpoint.h5
resumed "another model's" 'c/checkpoint.h5 was made by another configuration'
stopped
sed -i '2s/^1,/7,/' c/history.csv
resumed "its history" "c/history.csv:2: epoch '7', expected 1"
stopped
: >c/history.csv
resumed "an empty history" 'c/history.csv: is empty'
stopped
mv c/checkpoint.h5 c/moved
mkdir c/checkpoint.h5
resumed "a folder" 'c/checkpoint.h5: cannot be read: Is a directory'

# ---- run folders
stopped
sed -i 's/^pipeline_hash.*//' c/run.yaml
resumed "run.yaml without its hash" 'c was begun with another pipeline file'
stopped
: >c/run.yaml
resumed "run.yaml empty" 'c was begun with'
printf '\0\xff' >c/run.yaml
resumed "run.yaml is no text" 'c/run.yaml:1: has a NUL byte'
bad 1 "folder: of another pipeline" 't was begun with' $predict input=two.fasta --out t --resume
bad 1 "folder: holds a run" 't already holds a run; resume it with --resume, or give another --out' $predict input=two.fasta --out t
bad 1 "folder: other parameters" "t was begun with max_length=160, now it is 99" run rcl-train --quiet ${tiny/160/99} $tables --out t --resume
cp table.csv moved.csv
fine "folder: a run whose table changes" $train train_serpin=moved.csv --out inputs
sed -i 's/^state: "done"/state: "stopped"/' inputs/run.yaml
printf 'P3,RRRR,1,2\n' >>moved.csv
bad 1 "folder: another input" 'inputs was begun with another pipeline file, program version or input files; start a new run' $train train_serpin=moved.csv --out inputs --resume
bad 1 "folder: a file in its place" 'table.csv: is in the way of a folder of that name' $predict input=two.fasta --out table.csv
bad 1 "folder: below a file" 'table.csv' $predict input=two.fasta --out table.csv/run
bad 1 "folder: a name that is too long" 'File name too long' $predict input=two.fasta --out "$(printf '%0300d' 0)"
asterism run rcl-validate --resume --quiet
expect 1 "folder: nothing to resume"
has "$err" 'there is no run to resume here; --out names the folder of one elsewhere' "is said"
mkdir taken
(flock 9 && exec sleep 60) 9>taken/lock >/dev/null 2>&1 &
holder=$!
for _ in $(seq 100); do flock -n taken/lock true || break; sleep 0.05; done
bad 1 "folder: in use" 'taken is in use by another run (unknown process); wait for it, or give another --out' $predict input=two.fasta --out taken
kill $holder
bad 1 "report: of nothing" 'nowhere' report nowhere
mkdir hollow
bad 1 "report: of an empty folder" 'hollow' report hollow
bad 1 "report: of a file" 'table.csv' report table.csv
cp -r t r
printf 'epoch,train_loss,val_loss\n1,0.5,0.5\n' >r/history.csv
bad 1 "report: a damaged history" 'r/history.csv:1: 3 columns, expected 13' report r
printf 'epoch,"train_loss\n' >r/history.csv
cp t/training_history.json r/
bad 1 "report: a damaged table" 'r/history.csv:1: a quote is opened here and never closed' report r
bad 1 "log: in a folder that is not there" 'nowhere/log: No such file or directory; the log file must be writable' $predict input=two.fasta --log-file nowhere/log
fine "log: on a full disk" $predict input=two.fasta --log-file /dev/full

# ---- a full disk: the run ends, says why, and goes on when there is room again
weights() { # weights DIR DIR: the same tensors in both
    for file in best_model final_model; do
        tensors "$1/$file.h5"
        tensors "$2/$file.h5"
        cmp "$1/$file.h5.tensors" "$2/$file.h5.tensors" || return 1
    done
}
room() {
    mount -o "remount,size=$1" "$disk"
}
train="rcl-train $tiny $tables checkpoint_steps=1"
predict="rcl-predict model=t input=$data/predict.fasta annotated_fasta=true probabilities=true shard_size=8 threshold=0.2 min_consecutive=1"
fine "full disk: the training, with room" run --quiet $train --out whole
bad 2 "full disk: the prediction, with room" '' run --quiet $predict --out p_whole
mkdir small
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=1M small small 2>/dev/null; then
    disk=$work/small
    kb=$(du -sk whole | cut -f1)
    for percent in 3 35 60 90; do
        room 1M
        rm -rf small/*
        room $((kb * percent / 100 / 4 * 4 + 4))k
        bad 1 "full disk: training, $percent % of its room" 'small/r|No space left on device' run --quiet $train --out small/r
        room 4M
        [ -z "$(find small -name '*.tmp')" ]
        ok $? "full disk: nothing half-written stays"
        bad 0 "full disk: training goes on" '' run --quiet $train --out small/r --resume
        weights whole small/r && cmp -s whole/training_history.json small/r/training_history.json
        ok $? "full disk: to the same weights"
    done
    kb=$(du -sk p_whole | cut -f1)
    for percent in 5 50 90; do
        room 1M
        rm -rf small/*
        room $((kb * percent / 100 / 4 * 4 + 4))k
        bad 1 "full disk: prediction, $percent % of its room" 'small/r|No space left on device' run --quiet $predict --out small/r
        room 4M
        bad 2 "full disk: prediction goes on" '' run --quiet $predict --out small/r --resume
        good=0
        for file in p_whole/predict_* p_whole/failed_items.tsv; do
            cmp -s "$file" "small/r/${file#*/}" || good=1
        done
        ok $good "full disk: to the same results"
    done
    rm -rf small/*
    cp -r whole small/r
    cp t/best_model.h5 good.safetensors small
    dd if=/dev/zero of=small/filler bs=1k 2>/dev/null
    before=$(cd small && md5sum r/* *.h5 *.safetensors 2>/dev/null)
    bad 1 "full disk: report" 'small/r/|No space left on device' report small/r
    bad 1 "full disk: convert to .h5" 'small/best_model.h5|No space left on device' convert good.safetensors small/best_model.h5 --force
    bad 1 "full disk: convert to .safetensors" 'small/good.safetensors|No space left on device' convert t/best_model.h5 small/good.safetensors --force
    [ "$before" = "$(cd small && md5sum r/* *.h5 *.safetensors 2>/dev/null)" ]
    ok $? "full disk: what was there is as it was"
    umount small && disk=
else
    skip "full disk: needs root and the right to mount a tmpfs"
fi
# the same by a limit on the size of one file, which needs no rights
for blocks in 1 6; do
    rm -rf limited
    (ulimit -f $blocks && exec "$ASTERISM" run --quiet $train --out limited) >"$out" 2>"$err" </dev/null
    rc=$?
    expect 1 "files of $blocks KiB at most"
    has "$err" "File too large" "is said"
    bad 0 "files of any size" '' run --quiet $train --out limited --resume
    weights whole limited
    ok $? "the same weights"
done
finish
