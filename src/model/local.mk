# SPDX-License-Identifier: BSD-3-Clause
libaster_a_SOURCES += src/model/config.c src/model/labeller.c src/model/cnn.c src/model/unet.c src/model/bilstm.c src/model/language.c src/model/classifier.c src/model/forcefield.c src/model/forcefield_table.c
noinst_HEADERS += src/model/model.h src/model/build.h src/model/language.h src/model/classifier.h src/model/forcefield.h
