# SPDX-License-Identifier: BSD-3-Clause
# Test programs are built as tests/NAME and speak TAP.
TEST_LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
TEST_EXTENSIONS = .sh
SH_LOG_DRIVER = $(TEST_LOG_DRIVER)
LOG_DRIVER = $(TEST_LOG_DRIVER)
AM_TESTS_ENVIRONMENT = srcdir='$(srcdir)' builddir='$(builddir)' ASTERISM='$(abs_top_builddir)/asterism' ; export srcdir builddir ASTERISM ;
include tests/lib/local.mk
include tests/unit/local.mk
include tests/kernel/local.mk
include tests/gpu/local.mk
include tests/emulate/local.mk
include tests/grad/local.mk
include tests/graph/local.mk
include tests/golden/local.mk
include tests/cli/local.mk
include tests/fault/local.mk
include tests/sim/local.mk
include tests/peers/local.mk
TESTS += tests/peers/begin.sh $(check_PROGRAMS) $(dist_check_SCRIPTS)
