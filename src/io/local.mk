# SPDX-License-Identifier: BSD-3-Clause
noinst_HEADERS += src/io/io.h src/io/structures.h src/io/xyz.h src/io/internal.h src/io/h5_internal.h src/io/weightfile.h src/io/weightfile_internal.h src/io/torch.h src/io/tokens.h src/io/bpe.h src/io/dna.h src/io/sorter.h
libaster_a_SOURCES += src/io/source.c src/io/lines.c src/io/fasta.c src/io/dna.c src/io/sorter.c src/io/csv.c src/io/json.c src/io/h5.c src/io/h5_read.c src/io/h5_write.c src/io/h5_attr.c src/io/events.c src/io/text.c \
	src/io/safetensors.c src/io/safetensors_write.c src/io/zip.c src/io/npy.c src/io/npz.c src/io/npz_write.c src/io/number.c
# weights of other programs
libaster_a_SOURCES += src/io/weightfile.c src/io/weightfile_read.c src/io/weightfile_index.c src/io/weightfile_h5.c src/io/weightfile_convert.c src/io/torch_zip.c src/io/torch_call.c src/io/torch_names.c src/io/pickle.c
# sequences to token ids
libaster_a_SOURCES += src/io/esm2_tokens.c src/io/bpe_open.c src/io/bpe.c
# molecules
libaster_a_SOURCES += src/io/structures.c src/io/structures_h5.c src/io/structures_write.c src/io/xyz.c src/io/xyz_header.c
