# SPDX-License-Identifier: BSD-3-Clause
libaster_a_SOURCES += src/runtime/runtime.c src/runtime/machine.c src/runtime/buffer.c src/runtime/counter.c src/runtime/gpus.c src/runtime/gate.c src/runtime/idle.c src/runtime/slots.c src/runtime/sim.c src/runtime/sim_enter.c src/runtime/measured.c src/runtime/usage.c src/runtime/gpu_workers.c
noinst_HEADERS += src/runtime/runtime.h src/runtime/slots.h src/runtime/start.h src/runtime/machine.h src/runtime/gpus.h src/runtime/sim.h
