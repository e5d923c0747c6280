/* SPDX-License-Identifier: BSD-3-Clause */
/* Every mistake in a pipeline file is found in one pass, at its line and column, with the sentence
 * a user needs. */
#include "pipeline_kinds.h"
#include "lib/tap.h"

#include <stdlib.h>
#include <string.h>

#define HEAD        "asterism: 1\npipeline: t\n"
#define STAGES      HEAD "stages:\n"
#define SOURCE      STAGES "  s: {stage: source, file: '-'}\n" /* line 4 */
#define PARAM(text) HEAD "parameters:\n  p: " text "\n"        /* line 4, value from column 6 */
#define USED(text)                                                                                 \
    PARAM(text)                                                                                    \
    "stages:\n  s: {stage: source, file: '-'}\n  w: {stage: work, from: s, title: '${p}'}\n"
#define WORK(text)                                                                                 \
    SOURCE "  w: {stage: work, from: s, " text "}\n" /* line 5, text from column 29 */
#define NO_STAGES "t.yaml:1:1: key 'stages' is missing; there is nothing to do\n"

struct example {
    const char *name, *yaml, *args, *expect; /* args: "a=1 b=2"; expect: one line each */
};

static const struct example yaml_examples[] = {
    {"empty file", "", "", "t.yaml:1:1: the file is empty\n"},
    {"comment only", "# nothing\n", "", "t.yaml:1:1: the file is empty\n"},
    {"a list at the top", "- a\n- b\n", "",
     "t.yaml:1:1: expected a mapping with the keys asterism, pipeline and stages, found a list\n"},
    {"a text at the top", "hello\n", "",
     "t.yaml:1:1: expected a mapping with the keys asterism, pipeline and stages, found a text\n"},
    {"not UTF-8", HEAD "description: caf\xe9\n", "",
     "t.yaml:3:17: byte 0xe9 is not UTF-8; save the file as UTF-8\n"},
    {"overlong UTF-8", "a: \xc0\xaf\n", "",
     "t.yaml:1:4: byte 0xc0 is not UTF-8; save the file as UTF-8\n"},
    {"a surrogate", "a: \xed\xa0\x80\n", "",
     "t.yaml:1:4: byte 0xed is not UTF-8; save the file as UTF-8\n"},
    {"cut UTF-8 at the end", "a: \xe2\x82", "",
     "t.yaml:1:4: byte 0xe2 is not UTF-8; save the file as UTF-8\n"},
    {"columns count characters", HEAD "description: \"\xc3\xa9\xe2\x82\xac\" \x01\n", "",
     "t.yaml:3:19: control character 0x01; a pipeline file is text\n"},
    {"tabs, every one", HEAD "stages:\n\ts: 1\n \tw: 2\n", "",
     "t.yaml:4:1: a tab in the indentation; use spaces\nt.yaml:5:2: a tab in the indentation; use "
     "spaces\n"},
    {"broken flow mapping", STAGES "  s: {stage: source, file: x\n  t: 1\n", "",
     "t.yaml:5:4: not YAML: did not find expected ',' or '}' (while parsing a flow mapping from "
     "line 4 on)\n"},
    {"open quote", HEAD "description: \"x\nstages:\n", "",
     "t.yaml:5:1: not YAML: found unexpected end of stream (while scanning a quoted scalar from "
     "line 3 on)\n"},
    {"anchor, alias and tag together",
     HEAD "description: &d text\nstages:\n  s: {stage: source, file: *d, limit: !!int 3}\n", "",
     "t.yaml:3:14: anchor '&d'; anchors and aliases are not used here, a parameter can hold what "
     "is repeated\n"
     "t.yaml:5:28: alias '*d'; anchors and aliases are not used here, a parameter can hold what is "
     "repeated\n"
     "t.yaml:5:39: tag 'tag:yaml.org,2002:int'; tags are not used here, the option says what type "
     "it takes\n"},
    {"second document", SOURCE "---\na: 1\n", "",
     "t.yaml:5:1: a second document; a file holds one pipeline\n"},
    {"duplicate keys",
     HEAD "pipeline: u\nstages:\n  s: {stage: source, file: '-', file: '-'}\n  s: {}\n", "",
     "t.yaml:3:1: key 'pipeline' again; it is on line 2 already\n"
     "t.yaml:5:33: key 'file' again; it is on line 5 already\n"
     "t.yaml:6:3: key 's' again; it is on line 5 already\n"},
    {"a list as key", SOURCE "[a, b]: 1\n", "", "t.yaml:5:1: a list as a key; a key is a word\n"},
    {"an empty key", SOURCE "'': 1\n", "", "t.yaml:5:1: an empty key\n"},
    {"nested too deep", "a: [[[[[[[[1]]]]]]]]\n", "", "t.yaml:1:11: nested more than 8 deep\n"},
    {"NUL by an escape", HEAD "description: \"a\\0b\"\n", "",
     NO_STAGES "t.yaml:3:14: a text with a NUL character\n"},
};

static const struct example top_examples[] = {
    {"unknown keys with the nearest", "asterisk: 1\npipelin: t\ncolour: red\n", "",
     "t.yaml:1:1: unknown key 'asterisk'; a pipeline file has asterism, "
     "pipeline, description, parameters "
     "and stages; did you mean 'asterism'?\n"
     "t.yaml:1:1: key 'asterism' is missing; write 'asterism: 1', the version of the format\n"
     "t.yaml:1:1: key 'pipeline' is missing; it names the pipeline\n" NO_STAGES
     "t.yaml:2:1: unknown key 'pipelin'; a pipeline file has asterism, "
     "pipeline, description, parameters and "
     "stages; did you mean 'pipeline'?\n"
     "t.yaml:3:1: unknown key 'colour'; a pipeline file has asterism, pipeline, description, "
     "parameters and stages\n"},
    {"another version", "asterism: 2\npipeline: t\nstages: {s: {stage: source, file: '-'}}\n", "",
     "t.yaml:1:11: asterism: expected 1, the version of the format, found '2'\n"},
    {"version as a list", "asterism: [1]\npipeline: t\nstages: {s: {stage: source, file: '-'}}\n",
     "", "t.yaml:1:11: asterism: expected 1, the version of the format, found a list\n"},
    {"a name that is no file name",
     "asterism: 1\npipeline: a/b\nstages: {s: {stage: source, file: '-'}}\n", "",
     "t.yaml:2:11: pipeline: 'a/b' is no name; letters, digits, '.', '_' and '-', a letter or "
     "digit first, 64 at most\n"},
    {"a number as name", "asterism: 1\npipeline: 12\nstages: {s: {stage: source, file: '-'}}\n", "",
     "t.yaml:2:11: pipeline: expected a text, found '12'; put it in quotes\n"},
    {"sections of the wrong kind", HEAD "description: [a]\nparameters: 3\nstages: []\n", "",
     "t.yaml:3:14: description: expected a text, found a list\n"
     "t.yaml:4:13: parameters: expected a mapping of names, found a text\n"
     "t.yaml:5:9: stages: expected a mapping of names, found a list\n"},
    {"no stage", HEAD "stages: {}\n", "", "t.yaml:3:9: stages: there is none\n"},
};

static const struct example parameter_examples[] = {
    {"unknown key", USED("{type: int, defualt: 3, help: H.}"), "p=3",
     "t.yaml:4:18: unknown key 'defualt'; a parameter has type, default, "
     "min, max, choices, unit and help; did you mean 'default'?\n"},
    {"no type, no help", USED("{default: 3}"), "",
     "t.yaml:4:3: parameter 'p' has no help; one sentence says what it is\n"
     "t.yaml:4:3: parameter 'p' has no type\n"},
    {"unknown type", USED("{type: integer, help: H.}"), "",
     "t.yaml:4:13: type: expected str, file, path, int, real, bool, choice, ints, reals, strs or "
     "files, found 'integer'\n"},
    {"unknown type, nearest", USED("{type: fils, help: H.}"), "",
     "t.yaml:4:13: type: expected str, file, path, int, real, bool, choice, ints, reals, strs or "
     "files, found 'fils'; did you mean "
     "'file'?\n"},
    {"stage is no type of parameters", USED("{type: stage, help: H.}"), "",
     "t.yaml:4:13: type: expected str, file, path, int, real, bool, choice, ints, reals, strs or "
     "files, found 'stage'\n"},
    {"not a mapping", USED("5"), "",
     "t.yaml:4:6: parameter 'p': expected a mapping such as {type: int, default: 1, help: ...}, "
     "found a text\n"},
    {"default of another type", USED("{type: int, default: abc, help: H.}"), "",
     "t.yaml:4:27: default: expected an int, found 'abc'\n"},
    {"default out of range", USED("{type: int, min: 1, max: 5, default: 6, help: H.}"), "",
     "t.yaml:4:43: default: expected an int in 1..5, found '6'\n"},
    {"default with quotes", USED("{type: int, default: '6', help: H.}"), "",
     "t.yaml:4:27: default: expected an int, found '6'; a text; remove the quotes\n"},
    {"default is a list", USED("{type: int, default: [1, 2], help: H.}"), "",
     "t.yaml:4:27: default: expected an int, found a list\n"},
    {"default refers", USED("{type: str, default: $q, help: H.}"), "",
     "t.yaml:4:27: default: '$' inside a text: write ${name} for a parameter, $$ for a dollar\n"},
    {"default refers with braces", USED("{type: str, default: '${q}', help: H.}"), "",
     "t.yaml:4:27: default: a default cannot refer to a parameter; $$ is a dollar\n"},
    {"every wrong item of a default",
     USED("{type: ints, min: 1, default: [0, 2, x, [3]], help: H.}"), "",
     "t.yaml:4:46: default: expected a list of single values, found a list in it\n"},
    {"two wrong items", USED("{type: ints, min: 1, default: [0, 2, x], help: H.}"), "",
     "t.yaml:4:37: default: expected an int, at least 1, found '0'\n"
     "t.yaml:4:43: default: expected an int, at least 1, found 'x'\n"},
    {"range of a text", USED("{type: str, min: 1, default: x, help: H.}"), "",
     "t.yaml:4:18: min: a parameter of type str has no range\n"},
    {"range upside down", USED("{type: real, min: 1.5, max: 1, default: 2, help: H.}"), "",
     "t.yaml:4:34: max: 1 is less than min\n"},
    {"range that is no number", USED("{type: int, min: low, max: 1.5, default: 2, help: H.}"), "",
     "t.yaml:4:23: min: expected an int, found 'low'\nt.yaml:4:33: max: expected an int, found "
     "'1.5'\n"},
    {"choice without choices", USED("{type: choice, default: a, help: H.}"), "",
     "t.yaml:4:3: parameter 'p' is a choice: choices must list its values\n"},
    {"choices twice and empty",
     USED("{type: choice, choices: [a, b, a, ''], default: a, help: H.}"), "",
     "t.yaml:4:37: choices: 'a' again\nt.yaml:4:40: choices: expected a text, found an empty "
     "one\n"},
    {"choices of an int", USED("{type: int, choices: [1, 2], default: 1, help: H.}"), "",
     "t.yaml:4:18: choices: only a parameter of type choice has them, not int\n"},
    {"default outside the choices",
     USED("{type: choice, choices: [alpha, beta], default: betta, help: H.}"), "",
     "t.yaml:4:54: default: expected one of alpha, beta, found 'betta'; did you mean 'beta'?\n"},
    {"name isa",
     HEAD "parameters: {isa: {type: str, default: x, help: H.}}\nstages:\n  b: {stage: build, "
          "name: $isa}\n",
     "",
     "t.yaml:3:14: parameter 'isa': this name chooses the instruction set of any run; take "
     "another\n"},
    {"name with a dash",
     HEAD "parameters: {a-b: {type: str, default: x, help: H.}}\nstages:\n  b: {stage: build, "
          "name: n}\n",
     "",
     "t.yaml:3:14: parameter 'a-b': a name has letters, digits and '_', a letter first, 64 at "
     "most\n"
     "t.yaml:3:14: warning: parameter 'a-b' is not used by any stage\n"},
    {"not used",
     HEAD
     "parameters: {a: {type: str, default: x, help: H.}}\nstages:\n  b: {stage: build, name: n}\n",
     "", "t.yaml:3:14: warning: parameter 'a' is not used by any stage\n"},
    {"help is a number", USED("{type: int, default: 1, help: 12}"), "",
     "t.yaml:4:36: help: expected a text, found '12'; a number; for a text put it in quotes\n"},
    {"no value", USED("{type: int, help: H.}"), "",
     "t.yaml:4:3: parameter 'p' has no default and needs a value: p=int\n"},
    {"null is no default", USED("{type: int, default: null, help: H.}"), "",
     "t.yaml:4:3: parameter 'p' has no default and needs a value: p=int\n"},
};

static const struct example stage_examples[] = {
    {"no kind", STAGES "  s: {file: x}\n", "",
     "t.yaml:4:3: stage 's' has no key 'stage', which names its kind\n"},
    {"unknown kind", STAGES "  s: {stage: sorce, file: x}\n", "",
     "t.yaml:4:14: no kind of stage is called 'sorce'; 'asterism info "
     "--stages' lists them; did you mean 'source'?\n"},
    {"kind is a list", STAGES "  s: {stage: [source]}\n", "",
     "t.yaml:4:14: stage: expected the name of a kind, found a list\n"},
    {"unknown option", STAGES "  s: {stage: source, file: '-', limt: 3, colour: red}\n", "",
     "t.yaml:4:33: unknown key 'limt'; a source stage has no such option; did you mean 'limit'?\n"
     "t.yaml:4:42: unknown key 'colour'; a source stage has no such option\n"},
    {"missing option", STAGES "  s: {stage: source}\n", "",
     "t.yaml:4:3: stage 's' needs option 'file': What to read.\n"},
    {"null is missing", STAGES "  s: {stage: source, file: ~}\n", "",
     "t.yaml:4:3: stage 's' needs option 'file': What to read.\n"},
    {"a list as stage", STAGES "  s: [source]\n", "",
     "t.yaml:4:6: stage 's': expected a mapping such as {stage: read-fasta, ...}, found a list\n"},
    {"name of a stage", STAGES "  1st: {stage: source, file: '-'}\n", "",
     "t.yaml:4:3: stage '1st': a name has letters, digits, '_' and '-', a letter first, 64 at "
     "most\n"},
    {"int: wrong", WORK("rate: 0.5") "  t: {stage: source, file: '-', limit: many}\n", "",
     "t.yaml:6:40: limit: expected an int in 1..100, found 'many'\n"},
    {"int: below", STAGES "  s: {stage: source, file: '-', limit: 0}\n", "",
     "t.yaml:4:40: limit: expected an int in 1..100, found '0'\n"},
    {"int: above", STAGES "  s: {stage: source, file: '-', limit: 101}\n", "",
     "t.yaml:4:40: limit: expected an int in 1..100, found '101'\n"},
    {"int: beyond 64 bits", STAGES "  b: {stage: build, name: n, seed: 99999999999999999999}\n", "",
     "t.yaml:4:36: seed: expected an int in 0..9007199254740991, found '99999999999999999999'\n"},
    {"int: a point", STAGES "  s: {stage: source, file: '-', limit: 5.0}\n", "",
     "t.yaml:4:40: limit: expected an int in 1..100, found '5.0'\n"},
    {"int: hexadecimal", STAGES "  s: {stage: source, file: '-', limit: 0x10}\n", "",
     "t.yaml:4:40: limit: expected an int in 1..100, found '0x10'; write it in decimal\n"},
    {"int: octal", STAGES "  s: {stage: source, file: '-', limit: 0o7}\n", "",
     "t.yaml:4:40: limit: expected an int in 1..100, found '0o7'; write it in decimal\n"},
    {"int: underscores", STAGES "  s: {stage: source, file: '-', limit: 1_0}\n", "",
     "t.yaml:4:40: limit: expected an int in 1..100, found '1_0'\n"},
    {"real: infinite", WORK("rate: .inf"), "",
     "t.yaml:5:35: rate: expected a real number in 0..1, found '.inf'; only finite numbers\n"},
    {"real: no number", WORK("rate: .nan"), "",
     "t.yaml:5:35: rate: expected a real number in 0..1, found '.nan'; only finite numbers\n"},
    {"real: out of range", WORK("rate: 1.0000001"), "",
     "t.yaml:5:35: rate: expected a real number in 0..1, found '1.0000001'\n"},
    {"bool: yes", WORK("again: yes"), "",
     "t.yaml:5:36: again: expected true or false, found 'yes'; write true\n"},
    {"bool: On", WORK("again: On"), "",
     "t.yaml:5:36: again: expected true or false, found 'On'; write true\n"},
    {"bool: no", WORK("again: no"), "",
     "t.yaml:5:36: again: expected true or false, found 'no'; write false\n"},
    {"bool: off", WORK("again: off"), "",
     "t.yaml:5:36: again: expected true or false, found 'off'; write false\n"},
    {"bool: False", WORK("again: False"), "",
     "t.yaml:5:36: again: expected true or false, found 'False'; write false\n"},
    {"bool: 1", WORK("again: 1"), "", "t.yaml:5:36: again: expected true or false, found '1'\n"},
    {"bool: quoted", WORK("again: 'true'"), "",
     "t.yaml:5:36: again: expected true or false, found 'true'; a text; remove the quotes\n"},
    {"choice: nearest", WORK("mode: carefull"), "",
     "t.yaml:5:35: mode: expected one of fast, slow, careful, found 'carefull'; did you mean "
     "'careful'?\n"},
    {"choice: far", WORK("mode: xyz"), "",
     "t.yaml:5:35: mode: expected one of fast, slow, careful, found 'xyz'\n"},
    {"text: a number", WORK("title: 12"), "",
     "t.yaml:5:36: title: expected a text, found '12'; a number; for a text put it in quotes\n"},
    {"text: a bool", WORK("title: true"), "",
     "t.yaml:5:36: title: expected a text, found 'true'; a bool; for a text put it in quotes\n"},
    {"text: empty where one is needed", STAGES "  b: {stage: build, name: ''}\n", "",
     "t.yaml:4:27: name: is empty; expected a text\n"},
    {"list: two wrong", WORK("sizes: [1, 10, 3, x]"), "",
     "t.yaml:5:40: sizes: expected an int in 1..9, found '10'\nt.yaml:5:47: sizes: expected an int "
     "in 1..9, found 'x'\n"},
    {"list: in a list", WORK("sizes: [1, [2]]"), "",
     "t.yaml:5:40: sizes: a list of single values, found a list in it\n"},
    {"list: empty entry", WORK("labels: [a, '']"), "",
     "t.yaml:5:41: labels: is empty; expected a text\n"},
    {"a list for one", WORK("mode: [fast]"), "", "t.yaml:5:35: mode: takes choice, found a list\n"},
    {"a mapping for one", WORK("mode: {a: 1}"), "",
     "t.yaml:5:35: mode: takes choice, found a mapping\n"},
    {"stdin where there is none", STAGES "  s: {stage: source, file: '-', second: '-'}\n", "",
     "t.yaml:4:41: second: cannot read the standard input; expected a file\n"},
    {"a file that is nowhere", STAGES "  s: {stage: source, file: /nowhere/x.csv}\n", "",
     "t.yaml:4:28: file: no file '/nowhere/x.csv'; looked for /nowhere/x.csv\n"},
};

static const struct example link_examples[] = {
    {"unknown parameter",
     USED("{type: int, default: 1, help: H.}") "  b: {stage: build, name: '${q}x', seed: $pp}\n",
     "",
     "t.yaml:8:27: no parameter is called 'q'; did you mean 'p'?\nt.yaml:8:42: no parameter is "
     "called 'pp'; did you mean 'p'?\n"},
    {"a lone dollar", WORK("title: 'a$'"), "",
     "t.yaml:5:36: '$' inside a text: write ${name} for a parameter, $$ for a dollar\n"},
    {"open braces", WORK("title: '${p'"), "",
     "t.yaml:5:36: '${' without a name and '}' behind it; $$ is a dollar\n"},
    {"int from a text",
     USED("{type: str, default: x, help: H.}") "  b: {stage: build, name: n, seed: $p}\n", "",
     "t.yaml:8:36: seed: takes int, but parameter 'p' is str\n"},
    {"int from a real",
     USED("{type: real, default: 1, help: H.}") "  b: {stage: build, name: n, seed: $p}\n", "",
     "t.yaml:8:36: seed: takes int, but parameter 'p' is real\n"},
    {"one from a list",
     USED("{type: ints, default: [1], help: H.}") "  b: {stage: build, name: n, seed: $p}\n", "",
     "t.yaml:8:36: seed: takes int, but parameter 'p' is ints\n"},
    {"a list in a list",
     USED("{type: ints, default: [1], help: H.}") "  v: {stage: work, from: s, sizes: [1, $p]}\n",
     "", "t.yaml:8:40: sizes: takes int, but parameter 'p' is ints\n"},
    {"range of the option",
     USED("{type: int, default: 500, help: H.}") "  t: {stage: source, file: '-', limit: $p}\n", "",
     "t.yaml:8:40: limit: expected an int in 1..100, found '500' from $p\n"},
    {"choices of the option",
     USED(
         "{type: choice, choices: [fast, loose], default: loose, help: H.}") "  v: {stage: work, "
                                                                             "from: s, mode: $p}\n",
     "", "t.yaml:8:35: mode: expected one of fast, slow, careful, found 'loose' from $p\n"},
    {"a needed text from an empty one",
     USED("{type: str, default: '', help: H.}") "  b: {stage: build, name: $p}\n", "",
     "t.yaml:8:27: name: is empty from $p; expected a text\n"},
    {"unknown stage", SOURCE "  w: {stage: work, from: [s, tt, ss]}\n", "",
     "t.yaml:5:30: from: no stage is called 'tt'\nt.yaml:5:34: from: no stage is called 'ss'; did "
     "you mean 's'?\n"},
    {"a stage twice", SOURCE "  w: {stage: work, from: [s, s]}\n", "",
     "t.yaml:5:30: from: stage 's' again\n"},
    {"a stage from a parameter",
     USED("{type: str, default: s, help: H.}") "  v: {stage: work, from: $p}\n", "",
     "t.yaml:8:26: from: the name of a stage cannot come from a parameter\n"},
    {"output that does not fit", SOURCE "  z: {stage: sink, model: s}\n", "",
     "t.yaml:5:27: model: takes a stage giving models, but stage 's' (source) gives items\n"},
    {"output that fits neither",
     SOURCE "  b: {stage: build, name: n}\n  z: {stage: sink, model: b}\n  w: {stage: work, from: "
            "[s], extra: z}\n",
     "",
     "t.yaml:7:38: extra: takes a stage giving items or models, but stage 'z' (sink) gives none\n"},
    {"no stage where one is needed", SOURCE "  w: {stage: work, from: []}\n", "",
     "t.yaml:5:26: from: an empty list; expected names of stages\n"},
    {"itself", SOURCE "  w: {stage: work, from: [s, w]}\n", "",
     "t.yaml:5:30: stages in a circle: 'w' reads 'w'\n"},
    {"a circle of three",
     STAGES
     "  a: {stage: work, from: b}\n  b: {stage: work, from: c}\n  c: {stage: work, from: a}\n",
     "", "t.yaml:6:26: stages in a circle: 'a' reads 'b' reads 'c' reads 'a'\n"},
    {"two circles",
     STAGES
     "  a: {stage: work, from: b}\n  b: {stage: work, from: a}\n  c: {stage: work, from: c}\n",
     "",
     "t.yaml:5:26: stages in a circle: 'a' reads 'b' reads 'a'\nt.yaml:6:26: stages in a circle: "
     "'c' reads 'c'\n"},
};

static const struct example argument_examples[] = {
    {"unknown name", USED("{type: int, default: 1, help: H.}"), "q=3",
     "argument 'q=3': t has no parameter 'q'; did you mean 'p'?\n"},
    {"wrong type", USED("{type: int, default: 1, help: H.}"), "p=many",
     "argument 'p=many': expected an int, found 'many'\n"},
    {"out of range", USED("{type: int, min: 1, default: 1, help: H.}"), "p=-3",
     "argument 'p=-3': expected an int, at least 1, found '-3'\n"},
    {"out of range above", USED("{type: real, max: 0.5, default: 0, help: H.}"), "p=0.6",
     "argument 'p=0.6': expected a real number, at most 0.5, found '0.6'\n"},
    {"trailing text", USED("{type: int, default: 1, help: H.}"), "p=3x",
     "argument 'p=3x': expected an int, found '3x'\n"},
    {"empty", USED("{type: int, default: 1, help: H.}"),
     "p=", "argument 'p=': expected an int, found ''\n"},
    {"yes", USED("{type: bool, default: true, help: H.}"), "p=yes",
     "argument 'p=yes': expected true or false, found 'yes'; write true\n"},
    {"choice", USED("{type: choice, choices: [left, right], default: left, help: H.}"), "p=rigth",
     "argument 'p=rigth': expected one of left, right, found 'rigth'; did you mean 'right'?\n"},
    {"item of a list", USED("{type: ints, min: 0, default: [1], help: H.}"), "p=1,,x",
     "argument 'p=1,,x': expected an int, at least 0, found ''\nargument 'p=1,,x': expected an "
     "int, at least 0, found 'x'\n"},
    {"no such file", USED("{type: file, default: '', help: H.}"), "p=/nowhere/x",
     "argument 'p=/nowhere/x': cannot read '/nowhere/x': No such file or directory\n"},
    {"a folder", USED("{type: file, default: '', help: H.}"), "p=/",
     "argument 'p=/': '/' is a folder; expected a file\n"},
    {"arguments come first, all together",
     USED("{type: int, help: H.}") "  b: {stage: build, seed: x}\n", "q=1 p=a",
     "argument 'q=1': t has no parameter 'q'; did you mean 'p'?\nargument 'p=a': expected an int, "
     "found 'a'\n"
     "t.yaml:8:3: stage 'b' needs option 'name': A name that must be given.\n"
     "t.yaml:8:27: seed: expected an int in 0..9007199254740991, found 'x'\n"},
};

static int set_arguments(struct aster_pipeline *p, const char *args)
{
    char all[200], *rest = all;
    snprintf(all, sizeof all, "%s", args);
    for (char *a; (a = strsep(&rest, " "));) {
        char *eq = strchr(a, '=');
        if (!eq)
            continue;
        *eq = '\0';
        ASTER_TRY(aster_pipeline_set(p, a, eq + 1));
    }
    return 0;
}

static int mistakes_of(struct aster_ctx *ctx, const struct example *e, struct aster_str *out)
{
    const struct aster_run_spec *spec;
    struct aster_pipeline *p;
    ASTER_TRY(aster_pipeline_parse(ctx, test_kinds_all(), "t.yaml", e->yaml, strlen(e->yaml), &p));
    int rc = set_arguments(p, e->args);
    for (int round = 0; rc == 0 && round < 2;
         round++) /* the second time must not add to the first */
        rc = aster_pipeline_resolve(p, true, &spec);
    for (int64_t i = 0; i < aster_pipeline_n_mistakes(p); i++)
        aster_str_printf(out, "%s\n", aster_pipeline_mistake(p, i));
    if (rc == 0 && (aster_pipeline_n_errors(p) == 0) != (spec != NULL))
        aster_str_add(out, "(a specification that does not fit the number of errors)\n");
    aster_pipeline_free(&p);
    return rc;
}

static void try_all(struct aster_ctx *ctx, const char *group, const struct example *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct aster_str found = {0};
        int rc = mistakes_of(ctx, &list[i], &found);
        if (!tap_ok(rc == 0 && !strcmp(aster_str_get(&found), list[i].expect), "%s: %s", group,
                    list[i].name)) {
            tap_note("code %d, found:", rc);
            for (char *line, *rest = found.s; rest && (line = strsep(&rest, "\n"));)
                tap_note("  %s", line);
            tap_note("expected:");
            char *copy = strdup(list[i].expect);
            for (char *line, *rest = copy; rest && (line = strsep(&rest, "\n"));)
                tap_note("  %s", line);
            free(copy);
        }
        aster_str_free(&found);
    }
}

/* A file that is right has no mistakes; each cut of it, and each with a byte changed, ends without
 * a crash. */
static void hostile(struct aster_ctx *ctx)
{
    static const char good[] = "asterism: 1\npipeline: t\ndescription: D.\nparameters:\n  p: "
                               "{type: ints, min: 1, default: [1, 2], help: H.}\n"
                               "stages:\n  s: {stage: source, file: '-'}\n  w: {stage: work, from: "
                               "[s], sizes: $p, title: 'a ${p}'}\n";
    struct example e = {"", good, "", ""};
    struct aster_str found = {0};
    tap_ok(mistakes_of(ctx, &e, &found) == 0 && !found.len, "a file without mistakes");
    aster_str_free(&found);
    char copy[sizeof good];
    int n_failed = 0;
    for (size_t n = 0; n < sizeof good; n++) {
        memcpy(copy, good, sizeof good);
        copy[n] = '\0';
        e.yaml = copy;
        n_failed += mistakes_of(ctx, &e, &found) != 0;
        aster_str_free(&found);
    }
    for (size_t n = 0; n + 1 < sizeof good; n++)
        for (const char *c = "\n\t{[:$\x80&*!|>'\"#,-0"; *c; c++) {
            memcpy(copy, good, sizeof good);
            copy[n] = *c;
            n_failed += mistakes_of(ctx, &e, &found) != 0;
            aster_str_free(&found);
        }
    tap_ok(n_failed == 0, "cut and changed files end as mistakes, not as errors (%d)", n_failed);
}

/* Many keys in one mapping, many entries in one list: bounded. */
static void bounds(struct aster_ctx *ctx)
{
    struct aster_str yaml = {0}, found = {0};
    aster_str_add(&yaml, HEAD "parameters:\n");
    for (int i = 0; i < 1001; i++)
        aster_str_printf(&yaml, "  a%d: 1\n", i);
    struct example e = {"", yaml.s, "", ""};
    tap_ok(mistakes_of(ctx, &e, &found) == 0 &&
               !strcmp(aster_str_get(&found), "t.yaml:1004:10: more than 1000 entries\n"),
           "a mapping of 1001 keys");
    aster_str_free(&found);
    aster_str_free(&yaml);
}

int main(void)
{
    struct aster_ctx *ctx;
    if (aster_ctx_new(&ctx) < 0)
        return 1;
#define TRY(list)                                                                                  \
    try_all(ctx, #list, list##_examples, sizeof list##_examples / sizeof *list##_examples)
    TRY(yaml);
    TRY(top);
    TRY(parameter);
    TRY(stage);
    TRY(link);
    TRY(argument);
    hostile(ctx);
    bounds(ctx);
    tap_ok(aster_ctx_code(ctx) == 0, "no call failed: %s", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing left allocated (%lld)",
           (long long)aster_live_allocations());
    return tap_done();
}
