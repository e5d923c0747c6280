#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What users give wrong, each with the end that it must come to: an exit status, a message that says where, what and what
# else was expected; no signal, no hang. Tables, FASTA, residue vectors, pipeline files, values.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/fault/bad.sh" || exit 1

# ---- tables: the training table, one thing wrong at a time
table() { # table NAME STATUS TEXT WORDS: as the table of proteins with a loop
    printf "$3" >"$1.csv"
    bad "$2" "table: $1" "$4" $train "train_serpin=$1.csv"
}
fine "the table that the rest varies" $train train_serpin=table.csv
table empty 1 '' 'empty.csv: is empty|a header line with column names is expected'
table blank_lines 1 '\n\n\n' 'blank_lines.csv: is empty'
table fields 1 "$head\n$row\nP2,KKKK,1\n" 'fields.csv:3: 3 fields, the header has 4'
table too_many_fields 1 "$head\n$row,9\n" 'too_many_fields.csv:2: 5 fields, the header has 4'
table wrong_column 1 "id,Sequenz,rcl_start,rcl_end\n$row\n" "wrong_column.csv:1: has no column 'Sequence'|columns id and Sequence are needed"
table no_id 1 "name,Sequence,rcl_start,rcl_end\n$row\n" "no_id.csv:1: has no column 'id'"
table one_bound 0 'id,Sequence,rcl_start\nP1,ACDEF,1\n' "one_bound.csv:1: has a column 'rcl_start' and none named 'rcl_end'; without both, none of its proteins has a loop"
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
    printf 'O1,ACDEF,0,3\nO2,ACDEF,-4,3\nO3,ACDEF,4,2\nO4,ACDEF,2,6\nO5,ACDEF,99999999999999999999,3\nO6,ACDEF,9223372036854775807,9223372036854775807\nO7,ACDEF,-9223372036854775808,9223372036854775807\n'
    printf '"tab\tand\nline",,1,2\n'
} >rows.csv
bad 0 "rows: kept and rejected are counted" '1 of 16 rows kept|3 empty, 1 too long, 2 without bounds, 3 with bounds that are no integers, 6 with bounds outside' \
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
16 O7 loop bounds outside the sequence
17 tab and line empty sequence
WANT
grep '^rows.csv' bad_run/rejected_rows.tsv | cut -f2- | tr '\t' ' ' | diff want - >"$out"
ok $? "rows: rejected_rows.tsv names line, id and reason of each"
sed '1s/$/,rcl_seq/; 2,$s/$/,FGHIK/' rows.csv >loops.csv
bad 2 "rows: rcl-validate" 'Non-numeric RCL indices|End index before start index|End index beyond sequence|16 rows, 17 errors in 14 rows' run rcl-validate files=loops.csv
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
[[ $said != *"no residue letter"* ]]
ok $? "FASTA: about letters that no encoding knows, stops and gaps nothing is said"
fasta digits 0 '>a\nMKVA\n>b\nMK1A\nV@\n' "digits.fasta:4: '1' at column 3 of a sequence is no residue letter, and there are more such; taken as an unknown residue"
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
cnn='model=cnn cnn_channels=4 cnn_kernel_sizes=3 max_length=12 epochs=1 batch_size=4 shards=2 tensorboard=false encoding=esm2_650m'
printf "id,Sequence\nP8,$(sed -n 's/^P8,\([A-Z]*\),.*/\1/p' in/proteins.csv)\n" >negative.csv
esm="run rcl-train --quiet $cnn train_serpin=in/proteins.csv train_non_serpin=negative.csv"
vectors() { # vectors FILE WORDS
    bad 1 "vectors: $1" "in/$1: |$2" $esm precomputed="in/$1"
}
fine "vectors: a ragged .h5" $esm precomputed=in/good.h5
fine "vectors: an .npz" $esm precomputed=in/good.npz
bad 1 "vectors: none" 'encoding esm2_650m needs residue vectors made before; give precomputed=FILE' $esm
[ ! -e bad_run ]
ok $? "vectors: none leaves no run folder"
bad 1 "vectors: none, in check" 'encoding esm2 needs residue vectors made before' check rcl-train encoding=esm2 $tables
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
vectors missing.h5 "1 of 9 proteins have no vectors: 'P2' is not in the store of residue vectors"
vectors other_sequence.h5 "1 of 9 proteins have no vectors: 'P2' has another sequence in the store of residue vectors"
bad 1 "vectors: of other proteins" "proteins have no vectors: |, and so on" run rcl-train --quiet $tiny encoding=esm2_650m precomputed=in/good.h5 $tables
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

# ---- pipeline files
yaml() { # yaml NAME TEXT WORDS: by check; the words begin behind the file's name
    printf "$2" >"$1.yaml"
    bad 1 "YAML: $1" "$1.yaml:$3" check "$1.yaml"
}
top='asterism: 1\npipeline: p\n'
stages="${top}stages:\n"
source="$stages  s: {stage: read-fasta, file: two.fasta}\n"
printf "$source" >good.yaml
fine "YAML: the file that the rest varies" check good.yaml
yaml empty '' '1:1: the file is empty'
yaml tab "$stages\ts: {stage: read-fasta}\n" '4:1: a tab in the indentation; use spaces'
yaml again "${source}  s: {stage: read-fasta, file: two.fasta}\n" "5:3: key 's' again; it is on line 4 already"
yaml unknown_key "${source}colour: red\n" "5:1: unknown key 'colour'; a pipeline file has asterism, pipeline, description, parameters and stages"
yaml unknown_option "$stages  s: {stage: read-fasta, file: two.fasta, uper_case: true}\n" "4:43: unknown key 'uper_case'|did you mean 'upper_case'?"
yaml unknown_step "$stages  s: {stage: read-fastq, file: two.fasta}\n" "4:14: no kind of stage is called 'read-fastq'; 'asterism info --stages' lists them; did you mean 'read-fasta'?"
yaml unknown_stage "${source}  t: {stage: split, from: u}\n" "5:27: from: no stage is called 'u'"
yaml cycle "$stages  a: {stage: split, from: b}\n  b: {stage: split, from: a}\n" '4:|cycle'
yaml wrong_kind "${source}  t: {stage: split, from: s}\n" "5:27: from: "
yaml anchor "$stages  s: &a {stage: read-fasta, file: two.fasta}\n" "4:6: anchor '&a'; anchors and aliases are not used here"
yaml alias "$stages  s: *a\n" "4:6: alias '*a'; anchors and aliases are not used here"
yaml merge "$stages  s: {<<: {stage: read-fasta}}\n" "4:3: stage 's' has no key 'stage', which names its kind"
yaml tag "$stages  s: !!python/object:os.system {stage: read-fasta}\n" "4:6: tag 'tag:yaml.org,2002:python/object:os.system'; tags are not used here"
yaml documents "$source---\na: 1\n" '5:1: a second document; a file holds one pipeline'
yaml deep "a: $(printf '[%.0s' $(seq 2000))\n" '1:11: nested more than 8 deep'
yaml bracket "$stages  s: {stage: read-fasta, file: two.fasta\n" "5:1: not YAML: did not find expected ',' or '}' (while parsing a flow mapping from line 4 on)"
yaml quote "${top}description: \"open\n" '4:1: not YAML: found unexpected end of stream (while scanning a quoted scalar from line 3 on)'
yaml indentation "$source   t: {stage: split}\n" '5:4: not YAML: '
yaml list '[asterism, 1]\n' '1:1: expected a mapping with the keys asterism, pipeline and stages, found a list'
yaml version 'asterism: 2\npipeline: p\n' "1:11: asterism: expected 1, the version of the format, found '2'"
yaml no_stages "$top" "1:1: key 'stages' is missing; there is nothing to do"
yaml no_name 'asterism: 1\nstages: {s: {stage: read-fasta, file: two.fasta}}\n' "1:1: key 'pipeline' is missing"
yaml path_name "asterism: 1\npipeline: ../../etc\nstages: {s: {stage: read-fasta, file: two.fasta}}\n" "2:11: pipeline: "
yaml latin1 "${top}description: caf\xe9\n" '3:17: byte 0xe9 is not UTF-8; save the file as UTF-8'
yaml nul "${top}description: a\\0b\n" '3:15: control character 0x00; a pipeline file is text'
yaml utf16 '\xff\xfea\0s\0t\0' '1:1: byte 0xff is not UTF-8; save the file as UTF-8'
yaml missing "$stages  s: {stage: read-fasta}\n" "4:|file"
yaml type "$stages  s: {stage: read-fasta, file: two.fasta, upper_case: yes}\n" "4:55: upper_case: expected true or false, found 'yes'; write true"
yaml range "${source}  t: {stage: read-table, file: table.csv, max_length: 0}\n" "5:55: max_length: expected an int in 1..|found '0'"
yaml huge "${source}  t: {stage: read-table, file: table.csv, max_length: 99999999999999999999}\n" "5:55: max_length: expected an int in 1..|found '99999999999999999999'"
yaml nan "${source}  t: {stage: split, from: s, train_split: .nan}\n" "5:43: train_split: expected a real number in 0..1, found '.nan'; only finite numbers"
yaml parameter "$stages  s: {stage: read-fasta, file: \$inptu}\n" "4:32: no parameter is called 'inptu'"
yaml default "${top}parameters:\n  n: {type: int, min: 1, default: x, help: N.}\nstages:\n  s: {stage: read-fasta, file: \$n}\n" "4:35: default: expected an int, at least 1, found 'x'"
yaml param_type "${top}parameters:\n  n: {type: integer, help: N.}\nstages:\n  s: {stage: read-fasta, file: \$n}\n" "4:13: |integer"
{ printf "${source}"; printf 'description: "'; head -c 10000000 /dev/zero | tr '\0' x; printf '"\n'; } >large.yaml
bad 1 "YAML: ten million characters" 'large.yaml: has more than 1048576 bytes' check large.yaml
{ printf "$stages"; for i in $(seq 1200); do printf '  s%d: {stage: read-fasta, file: two.fasta}\n' "$i"; done; } >many.yaml
bad 1 "YAML: too many stages" 'many.yaml:1004:10: more than 1000 entries' check many.yaml
bad 1 "YAML: a folder" "no pipeline '$data/'" check "$data/"
bad 1 "YAML: a table" 'table.csv:1:1: ' check ./table.csv
bad 1 "YAML: nowhere" "nowhere.yaml" check nowhere.yaml
bad 1 "YAML: /dev/zero" 'zero' check /dev/zero

# ---- values
value() { # value NAME=VALUE WORDS: of rcl-train
    bad 1 "value: $1" "$2" run rcl-train --quiet $tables "$1"
}
value epochs=0 "argument 'epochs=0': |an int in 1..100000"
value epochs=1.5 "found '1.5'"
value epochs=1e9 "found '1e9'"
value epochs= "argument 'epochs='"
value epochs=99999999999999999999 "an int in 1..100000|found '99999999999999999999'"
value learning_rate=nan "a real number in 0..10|found 'nan'"
value learning_rate=-1 "found '-1'"
value learning_rate=1e999 "found '1e999'"
value loss_weights=1,2,3 'loss_weights'
value loss_weights=0,0 'loss_weights are all 0; one of them must be above 0'
value model=gnn 'one of cnn, unet, lstm'
value train_split=1 'leaves 410 to train on and 0 to validate; both must have one at least'
value train_split=0 'leaves 0 to train on and 410 to validate; both must have one at least'
value cnn_kernel_sizes=7,5,5,4 'kernel_sizes[3] is 4, expected an odd number'
value cnn_kernel_sizes=7 'cnn'
value cnn_channels= 'cnn'
value cnn_dropout=1 'dropout is 1, expected at least 0 and less than 1'
value tensorboard=maybe "true or false"
value shard=3 "did you mean 'shards'?"
bad 1 "value: a U-Net deeper than the sequence" 'unet' run rcl-train --quiet $tables model=unet unet_depth=8 max_length=200
bad 1 "value: no memory" 'training with batch_size 32 needs 157.5 MB, 0.0 MB of the memory limit are free; lower batch_size' run rcl-train --quiet $tables --memory 1K
bad 1 "value: no CPUs" 'cpus' run rcl-train --quiet $tables --cpus 0
bad 1 "value: no such scheduler" 'scheduler|nosuch' run rcl-train --quiet $tables --scheduler nosuch

# a batch of one row has no variance
{ echo "$head"; for i in 1 2 3 4 5 6 7 8 9; do echo "P$i,MK,1,2"; done; } >pairs.csv
printf 'id,Sequence\nN1,MK\n' >pair.csv
pairs='run rcl-train --quiet model=unet unet_base_filters=2 unet_depth=1 max_length=2 epochs=1 train_serpin=pairs.csv train_non_serpin=pair.csv'
fine "one row: batches of 4" $pairs batch_size=4
bad 1 "one row: batches of 7 and one of 1" '8 training samples in batches of 7 leave a batch of one, where batch normalisation would see a single row; choose another batch_size or a larger max_length' $pairs batch_size=7
bad 1 "one row: found by check" '8 training samples in batches of 7 leave a batch of one' ${pairs/run rcl-train --quiet/check rcl-train} batch_size=7
bad 1 "one row: in a shard" 'leave a shard of one' $pairs batch_size=8 shards=8 bn=local
fine "one row: not in the batch" $pairs batch_size=8 shards=8
finish
