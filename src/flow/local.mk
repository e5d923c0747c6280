# SPDX-License-Identifier: BSD-3-Clause
libaster_a_SOURCES += src/flow/config_json.c src/flow/embeddings.c src/flow/history.c src/flow/infer.c \
	src/flow/inputs.c src/flow/learner_options.c src/flow/ledger.c src/flow/plots.c src/flow/progress.c src/flow/proteins.c \
	src/flow/report.c src/flow/report_loops.c src/flow/report_tables.c src/flow/results.c src/flow/run.c src/flow/times.c src/flow/timing.c src/flow/study.c src/flow/study_files.c src/flow/study_json.c src/flow/rundir.c src/flow/runfile.c \
	src/flow/shard.c src/flow/store.c src/flow/split.c src/flow/stage_data.c src/flow/stage_evaluate.c \
	src/flow/stage_experiments.c src/flow/stage_predict.c src/flow/stage_train.c \
	src/flow/stage_validate.c src/flow/stages.c src/flow/summary.c src/flow/svg.c src/flow/timeline.c src/flow/check.c src/flow/columns.c
noinst_HEADERS += src/flow/embeddings.h src/flow/columns.h src/flow/evaluate.h src/flow/flow.h src/flow/infer.h \
	src/flow/internal.h src/flow/plots.h src/flow/report.h src/flow/shard.h src/flow/store.h src/flow/summary.h \
	src/flow/svg.h src/flow/training.h src/flow/times.h src/flow/timing.h src/flow/study.h src/flow/study_json.h
libaster_a_SOURCES += src/flow/convert.c src/flow/stage_profile.c src/flow/block_weights.c src/flow/embedder.c src/flow/embedder_batch.c src/flow/embedder_sizes.c src/flow/pretrained.c src/flow/pretrained_config.c
libaster_a_SOURCES += src/flow/embed_batches.c src/flow/embed_language.c src/flow/embed_pack.c src/flow/embed_part.c src/flow/embed_read.c src/flow/embed_time.c src/flow/embed_write.c src/flow/stage_embed.c
noinst_HEADERS += src/flow/embed_internal.h src/flow/embed_language.h src/flow/embed_part.h src/flow/embed_read.h
noinst_HEADERS += src/flow/convert.h src/flow/block_weights.h src/flow/embedder.h src/flow/embedder_internal.h src/flow/pretrained.h
libaster_a_SOURCES += src/flow/forcefield_file.c src/flow/forcefield_save.c src/flow/field.c src/flow/field_group.c src/flow/calculator.c src/flow/field_part.c src/flow/field_write.c src/flow/stage_field.c
noinst_HEADERS += src/flow/forcefield_file.h src/flow/field.h src/flow/field_group.h src/flow/field_part.h
libaster_a_SOURCES += src/flow/course.c src/flow/field_errors.c src/flow/field_steps.c src/flow/field_trainer.c src/flow/field_validation.c src/flow/stage_train_field.c
noinst_HEADERS += src/flow/course.h src/flow/field_trainer.h src/flow/field_trainer_internal.h
libaster_a_SOURCES += src/flow/classifier_file.c src/flow/vnp_classify.c src/flow/vnp_part.c src/flow/vnp_score.c \
	src/flow/vnp_files.c src/flow/vnp_results.c src/flow/vnp_store.c src/flow/vnp_tables.c src/flow/stage_virnucpro.c src/flow/stage_validate_dna.c
noinst_HEADERS += src/flow/classifier_file.h src/flow/vnp.h src/flow/vnp_tables.h
dist_man_MANS += docs/asterism-results.5
libaster_a_SOURCES += src/flow/field_batches.c src/flow/field_neighbours.c src/flow/field_read.c src/flow/textfile.c
libaster_a_SOURCES += src/flow/md_copy.c src/flow/md_groups.c src/flow/md_options.c src/flow/md_part.c src/flow/md_plots.c src/flow/md_summary.c src/flow/md_trajectory.c src/flow/md_write.c src/flow/stage_dynamics.c
noinst_HEADERS += src/flow/md.h src/flow/md_groups.h src/flow/md_summary.h src/flow/md_trajectory.h
noinst_HEADERS += src/flow/field_batches.h src/flow/field_neighbours.h src/flow/textfile.h
