#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The manual pages say what the program says: options of every command, kinds of stage with their options.
# ASTERISM_WRITE_PAGES=1 writes those sections anew.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh"

# "  -o, --out DIR  Text" to a tagged paragraph; a text may be cut into lines.
options_section() {
    sed -n '/^Options:/,/^$/p' | awk '
        function flush() { if (head) printf ".TP\n.B %s\n%s\n", head, text }
        function roff(s) { gsub(/\\/, "\\e", s); gsub(/-/, "\\-", s); return s }
        /^ +-/ {
            flush()
            sub(/^ +/, "")
            at = match($0, /  +/)
            head = roff(at ? substr($0, 1, at - 1) : $0)
            text = at ? roff(substr($0, at + RLENGTH)) : ""
            next
        }
        /^ / { sub(/^ +/, ""); text = text (text ? " " : "") roff($0) }
        END { flush() }'
}

# What info --stages prints, as sections with tagged paragraphs.
stages_section() {
    awk '
        function roff(s) { gsub(/\\/, "\\e", s); gsub(/-/, "\\-", s); gsub(/"/, "\\(dq", s); return s }
        /^[^ ]/ { printf ".SS %s\n", roff($0) }
        /^  [^ ]/ { sub(/^ +/, ""); print roff($0) }
        /^    [^ ]/ { sub(/^ +/, ""); at = index($0, " "); printf ".TP\n.BR %s \" %s\"\n", roff(substr($0, 1, at - 1)), roff(substr($0, at + 1)) }
        /^        [^ ]/ { sub(/^ +/, ""); print roff($0) }'
}

# compare PAGE WHAT FILE: the section of the page against the lines in the file
compare() {
    page=$src/docs/$1
    if [ -n "${ASTERISM_WRITE_PAGES-}" ]; then
        sed -i -e "/^\\.\\\\\" begin $2/,/^\\.\\\\\" end $2/{//!d}" -e "/^\\.\\\\\" begin $2/r $3" "$page"
    fi
    sed -n "/^\\.\\\\\" begin $2/,/^\\.\\\\\" end $2/{//!p}" "$page" >"$work/page"
    [ -s "$3" ] && diff "$work/page" "$3" >"$work/diff"
    ok $? "$1: the $2 are those of the program"
    head -n 20 "$work/diff" | sed 's/^/# /'
}

for command in run check graph info report convert scale calibrate simulate; do
    asterism $command --help
    options_section <"$out" >"$work/section"
    compare "asterism-$command.1" options "$work/section"
done
asterism info --stages
stages_section <"$out" >"$work/section"
compare asterism-pipeline.5 stages "$work/section"

for page in "$src"/docs/*.[15]; do
    name=$(basename "$page")
    head -n 1 "$page" | grep -q SPDX
    ok $? "$name begins with its licence"
    if command -v groff >/dev/null; then
        groff -man -Tascii -ww -z "$page" 2>"$err"
        [ ! -s "$err" ]
        ok $? "$name is read without warnings"
    else
        skip "no groff to read $name with"
    fi
done

# every command has a page, and every page a command
for command in run check graph info report convert scale calibrate simulate; do
    asterism --help
    has "$out" "asterism $command " "--help names $command"
done
finish
