#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the README and docs/pipelines.md tell a user works: the commands of the tour, the pipelines and parameters that they name, the
# files that the documents name.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh"
cd "$work" || exit 1

# -- the tour, with two epochs
n_commands=0
while read -r line; do
    # shellcheck disable=SC2086
    set -- ${line/epochs=8/epochs=2}
    asterism "${@:2}"
    expect 0 "$line"
    n_commands=$((n_commands + 1))
done < <(sed -n '/^## Five minutes/,/^## What/p' "$src/README.md" | grep '^asterism ')
[ $n_commands = 5 ]
ok $? "the tour has five commands"
for dir in tour tour-evaluate tour-predict; do
    [ -s runs/$dir/report.html ]
    ok $? "$dir has a report"
done

# -- pipelines
for file in "$src"/pipelines/*.yaml; do
    name=$(basename "$file" .yaml)
    has "$src/README.md" "\`$name\`" "README names $name"
    has "$src/docs/pipelines.md" "**$name**" "docs/pipelines.md explains $name"
    asterism run "$name" --help
    expect 0 "$name --help"
    # every parameter that its paragraph names is one
    bad=
    for word in $(sed -n "/\*\*$name\*\*/,/^\$/p" "$src/docs/pipelines.md" | grep -oE '`[a-z_0-9]+(=[^`]*)?`' | tr -d '\`' | cut -d= -f1 | sort -u); do
        grep -q "^  $word" "$out" || bad="$bad $word"
    done
    [ -z "$bad" ]
    ok $? "the parameters that its paragraph names${bad:+: not$bad}"
done

# -- files that the documents name
for page in README.md docs/design.md docs/adding-an-op.md docs/pipelines.md; do
    bad=
    for file in $(grep -ohE '`(codelets|src|tests|docs|scripts|pipelines|bench)/[A-Za-z0-9_./-]+`' "$src/$page" | tr -d '\`' | sort -u); do
        # a file, or a program that some local.mk builds
        [ -e "$src/$file" ] || grep -qE "(^|[[:space:]])$file([[:space:]]|\$)" "$src"/tests/*/local.mk "$src/bench/local.mk" || bad="$bad $file"
    done
    [ -z "$bad" ]
    ok $? "the files that $page names are there${bad:+: not$bad}"
done
finish
