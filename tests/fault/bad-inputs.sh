#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What users give wrong, each with the end that it must come to: an exit status, a message that says where, what and what
# else was expected; no signal, no hang. Under it: full disks, damaged checkpoints, folders that are taken.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh" || exit 1
make_inputs=$(cd "${builddir:-.}" && pwd)/tests/make-inputs
data=$src/data/synthetic
disk=
trap '[ -z "$disk" ] || umount "$disk"; rm -rf "$work"' EXIT
cd "$work" || exit 1

# bad STATUS NAME WORDS ARGUMENTS...: the program ends with this status, and its message has every one of the words, which
# are separated by |. A run goes into a new folder of its own unless --out is among the arguments.
bad() {
    local want=$1 name=$2 words=$3 missing= word list
    shift 3
    case "$1 $*" in
    run*--out*) ;;
    run*) rm -rf bad_run; set -- "$@" --out bad_run ;;
    esac
    timeout -k 5 60 "$ASTERISM" "$@" >"$out" 2>"$err" </dev/null
    rc=$?
    cat "$out" "$err" >said
    IFS='|' read -ra list <<<"$words"
    for word in "${list[@]}"; do
        grep -qF -- "$word" said || missing="$missing '$word'"
    done
    grep -qE 'Sanitizer|runtime error:|Assertion|our mistake' said && missing="$missing (a report of our own mistake)"
    [ "$rc" = "$want" ] && [ -z "$missing" ]
    ok $? "$name${missing:+; missing:$missing}"
}

# fine NAME ARGUMENTS...: what bad() refuses below differs from this in one thing.
fine() {
    local name=$1
    shift
    bad 0 "$name" "" "$@"
}

tables="train_serpin=$data/serpins_train.csv train_non_serpin=$data/negatives_train.csv"
tiny="model=cnn cnn_channels=4 cnn_kernel_sizes=3 max_length=160 epochs=2 shards=2 tensorboard=false"
train="run rcl-train --quiet $tiny train_non_serpin=$data/negatives_train.csv"
fine "the training that the rest varies" run rcl-train --quiet $tiny $tables --out t
printf '>a\nMKVA\n>b\nQQQQ\n' >two.fasta
predict="run rcl-predict --quiet model=t"
fine "the prediction that the rest varies" $predict input=two.fasta

# ---- tables: the training table, one thing wrong at a time
head='id,Sequence,rcl_start,rcl_end'
row='P1,ACDEFGHIKLMNPQRSTVWY,3,7'
table() { # table NAME STATUS TEXT WORDS: as the table of proteins with a loop
    printf "$3" >"$1.csv"
    bad "$2" "table: $1" "$4" $train "train_serpin=$1.csv"
}
printf "$head\n$row\nP2,KKKK,1,2\n" >table.csv
fine "the table that the rest varies" $train train_serpin=table.csv
table empty 1 '' 'empty.csv: is empty|a header line with column names is expected'
table blank_lines 1 '\n\n\n' 'blank_lines.csv: is empty'
table fields 1 "$head\n$row\nP2,KKKK,1\n" 'fields.csv:3: 3 fields, the header has 4'
table too_many_fields 1 "$head\n$row,9\n" 'too_many_fields.csv:2: 5 fields, the header has 4'
table wrong_column 1 "id,Sequenz,rcl_start,rcl_end\n$row\n" "wrong_column.csv:1: has no column 'Sequence'|columns id and Sequence are needed"
table no_id 1 "name,Sequence,rcl_start,rcl_end\n$row\n" "no_id.csv:1: has no column 'id'"
table one_bound 1 'id,Sequence,rcl_start\nP1,ACDEF,1\n' "one_bound.csv:1: has a column 'rcl_start' and none named 'rcl_end'; a table with loops needs both"
table two_columns 1 "id,Sequence,rcl_start,rcl_end,id\n$row,P1\n" "two_columns.csv:1: two columns are named 'id'"
table open_quote 1 "$head\n$row\n\"P2,KKKK,1,2\nP3,KKKK,1,2\n" 'open_quote.csv:3: a quote is opened here and never closed'
table after_quote 1 "$head\n\"P1\"x,ACDEF,1,2\n" "after_quote.csv:2: 'x' after a closing quote|a comma or the end of the line is expected"
table inner_quote 1 "$head\nP\"1,ACDEF,1,2\n" 'inner_quote.csv:2: a quote inside a field that does not start with one'
table nul 1 "$head\nP1,AC\\0DEF,1,2\n" 'nul.csv:2: has a NUL byte; a text file is expected'
table not_utf8 1 "$head\nP\\xe4,ACDEF,1,2\n" 'not_utf8.csv:2: byte 0xe4 at column 2 is not UTF-8'
table control_header 1 "i\\001d,Sequence\nP1,ACDEF\n" "control_header.csv:1: has no column 'id'"
table only_header 1 "$head\n" 'only_header.csv|holds no usable row'
table fasta_broken 1 ">P1 rcl:3-7\nACDEFGHIK\nAC\\001DEF\n" 'fasta_broken.csv:3: byte 0x01 at column 3 is no residue letter; printable ASCII is expected'
table all_bad 1 "$head\nP1,ACDEF,9,12\nP2,,1,2\n" 'all_bad.csv|holds no usable row|2 rows'
gzip -c "$data/serpins_train.csv" | head -c 5000 >cut.csv.gz
bad 1 "table: gzip cut off" 'cut.csv.gz: the gzip data is damaged or cut off after line' $train train_serpin=cut.csv.gz
gzip -c "$data/serpins_train.csv" >flip.csv.gz
printf 'XXXXXXXX' | dd of=flip.csv.gz bs=1 seek=3000 conv=notrunc 2>/dev/null
bad 1 "table: gzip damaged" 'flip.csv.gz: the gzip data is damaged or cut off after line' $train train_serpin=flip.csv.gz
bad 1 "table: a folder" "train_serpin|is a folder; expected a file" $train train_serpin="$data"
bad 1 "table: nowhere" "argument 'train_serpin=nowhere.csv': cannot read 'nowhere.csv': No such file or directory" $train train_serpin=nowhere.csv
mkfifo pipe
bad 1 "table: a pipe" 'pipe: is no regular file' $train train_serpin=pipe
ln -s loop_link loop_link
bad 1 "table: a link to itself" 'loop_link' $train train_serpin=loop_link

# rows that the cleaning leaves out: counted, and listed with their reason
{
    printf "$head\n$row\n"
    printf 'E1,,3,7\nE2,   ,3,7\nL1,%0161d,3,7\n' 0
    printf 'B1,ACDEF,,3\nB2,ACDEF,No start,3\nN1,ACDEF,two,3\nN2,ACDEF,1e3x,3\n'
    printf 'O1,ACDEF,0,3\nO2,ACDEF,-4,3\nO3,ACDEF,4,2\nO4,ACDEF,2,6\nO5,ACDEF,99999999999999999999,3\nO6,ACDEF,9223372036854775807,9223372036854775807\n'
    printf '"tab\tand\nline",,1,2\n'
} >rows.csv
bad 0 "rows: kept and rejected are counted" '1 of 15 rows kept|3 empty, 1 too long, 2 without bounds, 3 bounds no integers, 5 bounds outside' \
    run rcl-train $tiny train_non_serpin="$data/negatives_train.csv" train_serpin=rows.csv
cat >want <<'WANT'
3 E1 empty sequence
4 E2 empty sequence
5 L1 longer than max_length
6 B1 no loop bounds
7 B2 no loop bounds
8 N1 loop bounds are no integers
9 N2 loop bounds are no integers
10 O1 loop bounds outside the sequence
11 O2 loop bounds outside the sequence
12 O3 loop bounds outside the sequence
13 O4 loop bounds outside the sequence
14 O5 loop bounds are no integers
15 O6 loop bounds outside the sequence
16 tab and line empty sequence
WANT
grep '^rows.csv' bad_run/rejected_rows.tsv | cut -f2- | tr '\t' ' ' | diff want - >"$out"
ok $? "rows: rejected_rows.tsv names line, id and reason of each"
sed '1s/$/,rcl_seq/; 2,$s/$/,FGHIK/' rows.csv >loops.csv
bad 2 "rows: rcl-validate" 'Non-numeric RCL indices|End index before start index|End index beyond sequence|15 rows, 17 errors in 14 rows' run rcl-validate files=loops.csv
printf "$head\n$row\nP2,KKKK,1,2\nP1,RRRR,1,2\n" >again.csv
bad 0 "rows: an id again is said" "again.csv:4: id 'P1' is on line 2 already" run rcl-train $tiny train_non_serpin="$data/negatives_train.csv" train_serpin=again.csv
printf '\xef\xbb\xbf'"$head\r\n\r\n$row\r\nP2,kkkk,1,2" >foreign.csv
bad 0 "rows: BOM, CRLF, blank lines, lower case, no last line end are fine" '2 of 2 rows kept' \
    run rcl-train $tiny train_non_serpin="$data/negatives_train.csv" train_serpin=foreign.csv

# ---- FASTA
fasta() { # fasta NAME STATUS TEXT WORDS: as input of rcl-predict
    printf "$3" >"$1.fasta"
    bad "$2" "FASTA: $1" "$4" $predict "input=$1.fasta"
}
fasta none 1 '' 'none.fasta: holds no record|begin with'
fasta no_header 1 'MKVA\n>a\nMKVA\n' "no_header.fasta:1: text before the first '>'; a FASTA file starts with a header line"
fasta nul_byte 1 '>a\nMK\0VA\n' 'nul_byte.fasta:2: has a NUL byte; a text file is expected'
fasta latin1 1 '>a\nMK\xe4VA\n' 'latin1.fasta:2: byte 0xe4 at column 3 is no residue letter; printable ASCII is expected'
fasta utf16 1 '\xff\xfe>\0a\0\n\0M\0' 'utf16.fasta:1: has a NUL byte'
fasta control 1 '>a\nMK\033VA\n' 'control.fasta:2: byte 0x1b at column 3 is no residue letter'
fasta empty_record 2 '>a\nMKVA\n>b\n>c\nMKVA\n' ''
grep -q "^b	predict	empty sequence" bad_run/failed_items.tsv
ok $? "FASTA: the empty record is in failed_items.tsv, with its reason"
{ printf '>a\nMKVA\n>too_long\n'; printf '%0200d\n' 0 | tr 0 A; } >long.fasta
bad 2 "FASTA: longer than the model" '' $predict input=long.fasta
grep -q "^too_long	predict	.*200.*160" bad_run/failed_items.tsv
ok $? "FASTA: the long record is in failed_items.tsv, with both lengths"
fasta only_bad 1 '>a\n>b\n' 'none of its 2 sequences can be labelled'
fasta twice 0 '>a\nMKVA\n>a\nMKVA\n' ''
[ "$(grep -c '^a,' bad_run/twice_*_all_*.csv)" = 2 ]
ok $? "FASTA: a name twice, two rows"
fasta unknown_letters 0 '>a\nBZXUO*-.\n' ''
fasta crlf 0 '\xef\xbb\xbf>a\r\nMKVA\r\n\n>b\r\nQQQQ' ''
for i in $(seq 410); do printf '>r%d\nMKVA\n' $i; done | sed '812s/K/\x07/' >late.fasta
bad 1 "FASTA: a broken record at line 812" 'late.fasta:812: byte 0x07 at column 2 is no residue letter' $predict input=late.fasta
gzip -c late.fasta | head -c 100 >cut.fasta.gz
bad 1 "FASTA: gzip cut off" 'cut.fasta.gz: the gzip data is damaged or cut off after line' $predict input=cut.fasta.gz
bad 1 "FASTA: a folder" "'/' is a folder; expected a file" $predict input=/
bad 1 "FASTA: nowhere" "nowhere.fasta" $predict input=nowhere.fasta
bad 1 "FASTA: a table instead" "serpins_test.csv:1: text before the first '>'" $predict input="$data/serpins_test.csv"
bad 1 "FASTA: an empty standard input" 'standard input' $predict input=-

# ---- files that may not be read, folders that may not be written
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    as_nobody() { # as_nobody STATUS NAME WORDS ARGUMENTS...
        local program=$ASTERISM
        ASTERISM="$work/as_nobody" bad "$@"
        ASTERISM=$program
    }
    cp "$ASTERISM" nobody_program 2>/dev/null
    printf '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups "%s" "$@"\n' "$ASTERISM" >as_nobody
    chmod 755 as_nobody "$work"
    cp two.fasta secret.fasta
    cp -r t secret_run
    chmod 600 secret.fasta
    chmod 700 secret_run
    mkdir -m 777 open
    mkdir -m 755 closed
    as_nobody 1 "may not be read: the input" 'secret.fasta|Permission denied' $predict input=secret.fasta --out open/a
    as_nobody 1 "may not be read: the model" 'secret_run|Permission denied' run rcl-predict model=secret_run input=two.fasta --out open/b
    as_nobody 1 "may not be written: the folder" 'closed/run: cannot make this folder: Permission denied' $predict input=two.fasta --out closed/run
    as_nobody 1 "may not be written: a run that is resumed" 'Permission denied' $predict input=two.fasta --out closed --resume
else
    skip "files that may not be read: needs root and setpriv"
fi

# ---- residue vectors
mkdir in
"$make_inputs" in
ok $? "residue vectors are made"
cnn='model=cnn cnn_channels=4 cnn_kernel_sizes=3 max_length=12 epochs=1 batch_size=4 shards=2 tensorboard=false encoding=esm2_650m'
printf "id,Sequence\nP8,$(sed -n 's/^P8,\([A-Z]*\),.*/\1/p' in/proteins.csv)\n" >negative.csv
esm="run rcl-train --quiet $cnn train_serpin=in/proteins.csv train_non_serpin=negative.csv"
vectors() { # vectors FILE WORDS
    bad 1 "vectors: $1" "in/$1: |$2" $esm precomputed="in/$1"
}
fine "vectors: a ragged .h5" $esm precomputed=in/good.h5
fine "vectors: an .npz" $esm precomputed=in/good.npz
bad 1 "vectors: none" 'encoding esm2_650m needs residue vectors made before; give precomputed=FILE' $esm
vectors other_encoding.h5 'holds vectors of blosum, expected esm2_650m'
vectors narrow.h5 'values has rank 2, numbers of width 1279; numbers [residues, 1280] are expected'
vectors rank.h5 'values has rank 3, numbers of width 1; numbers [residues, 1280] are expected'
vectors text.h5 'values has rank 1, texts'
vectors no_values.h5 "'values': no dataset of this name"
vectors no_ids.h5 "'ids': no dataset of this name"
vectors few_ids.h5 '7 ids and 8 sequences for 8 entries'
vectors few_offsets.h5 '8 ids and 8 sequences for 7 entries'
vectors back.h5 'offsets[3] is 12; offsets grow from 0 to 96'
vectors beyond.h5 'offsets[8] is 97; offsets grow from 0 to 96'
vectors uneven.h5 "'P1' has 12 residues and 11 vectors"
vectors missing.h5 "'P2' is not in the store of residue vectors"
vectors other_sequence.h5 "'P2' has another sequence in the store of residue vectors"
vectors loop.h5 "loop [2, 13) of 'P2' does not fit its 12 residues"
vectors nan.h5 'the vector of residue 1 of entry 2 has the value nan; finite numbers are expected'
bad 1 "vectors: huge.h5" 'the loss is|lower learning_rate or set clip_norm' $esm precomputed=in/huge.h5
vectors crc.npz 'CRC-32'
vectors deflate.npz 'encodings.npy'
vectors method.npz 'encodings.npy|method 12'
vectors encrypted.npz 'encodings.npy|encrypted'
vectors size.npz 'encodings.npy'
vectors object.npz "'encodings': holds Python objects; numbers or texts are expected"
vectors fortran.npz 'Fortran'
vectors shape.npz 'encodings'
vectors rank.npz 'encodings has rank 2; numbers [proteins, length, 1280] are expected'
vectors narrow.npz 'its vectors have width 640, expected 1280'
vectors dictionary.npz 'encodings'
vectors few_ids.npz '7 ids and 8 sequences for 8 entries'
vectors no_sequences.npz "'sequences'"
vectors labels.npz "labels of 'P2' at residue 1 are 3, 0; 1, 0 or 0, 1 is expected"
head -c 300000 in/good.npz >in/cut.npz
vectors cut.npz 'zip'
head -c 300000 in/good.h5 >in/cut.h5
vectors cut.h5 'truncated'
cp two.fasta in/fasta.h5
vectors fasta.h5 'is no HDF5 file (its first bytes are others)'
cp two.fasta in/fasta.npz
vectors fasta.npz 'zip'
: >in/nothing.h5
vectors nothing.h5 'is no HDF5 file (it is empty)'
: >in/nothing.npz
vectors nothing.npz 'is no npz file (it is empty)'
cp in/good.h5 in/good.bin
fine "vectors: HDF5 by any other name" $esm precomputed=in/good.bin

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
h5_name=$(sed -n 's/.*"\(weights[^"]*\)".*/\1/p' <<<'"weights/conv_layers.0.weight"')
changed no_tensor drop $h5_name
model no_tensor.h5 "'$h5_name'"
changed nan_tensor poke $h5_name
model nan_tensor.h5 "'$h5_name': element 0 is nan; a finite number is expected"
"$ASTERISM" convert t/best_model.h5 good.safetensors
for at in 100 2000 5000 -100; do
    cp t/best_model.h5 flipped.h5
    size=$(stat -c %s flipped.h5)
    printf '\x5a\xa5\x5a\xa5' | dd of=flipped.h5 bs=1 seek=$(((at + size) % size)) conv=notrunc 2>/dev/null
    model flipped.h5 ''
done
for n in 7 8 100 3000 $((size - 1)); do
    head -c $n t/best_model.h5 >short.h5
    model short.h5 ''
done
finish
