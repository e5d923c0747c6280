# SPDX-License-Identifier: BSD-3-Clause
# Files between our readers and writers and the libraries that own the formats
noinst_PROGRAMS += tests/peers-files
tests_peers_files_SOURCES = tests/peers/peers_files.c
tests_peers_files_LDADD = $(IO_LDADD)
dist_check_SCRIPTS += tests/peers/peers.sh
EXTRA_DIST += tests/peers/peers.py tests/peers/field.py
CLEANFILES += peers-venv.log
clean-local: clean-peers
clean-peers:
	rm -rf peers-venv
.PHONY: clean-peers
