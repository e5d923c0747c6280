# SPDX-License-Identifier: BSD-3-Clause
# Files between our readers and writers and the libraries that own the formats
noinst_PROGRAMS += tests/peers-files
tests_peers_files_SOURCES = tests/peers/peers_files.c
tests_peers_files_LDADD = $(IO_LDADD)
dist_check_SCRIPTS += tests/peers/peers.sh
EXTRA_DIST += tests/peers/begin.sh tests/peers/install.sh tests/peers/peers.py tests/peers/field.py
CLEANFILES += peers-venv.log peers-venv.failed
clean-local: clean-peers
clean-peers:
	rm -rf peers-venv peers-venv.lock
.PHONY: clean-peers
