# SPDX-License-Identifier: BSD-3-Clause
libaster_a_SOURCES +=
