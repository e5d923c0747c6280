/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of stage there are and what each accepts: the one table behind validation, help, manual
 * and runs. */
#include "flow/embed_language.h"
#include "flow/embed_part.h"
#include "flow/md.h"
#include "flow/vnp.h"

#include <string.h>

/* clang-format off */
#define FIL(k, d, stdin_ok, h) {k, ASTER_OPT_FILE, d, 0, 0, stdin_ok, "", h}
#define PTH(k, d, h) {k, ASTER_OPT_PATH, d, 0, 0, NULL, "", h}
#define INT(k, d, lo, hi, u, h) {k, ASTER_OPT_INT, d, lo, hi, NULL, u, h}
#define REAL(k, d, lo, hi, u, h) {k, ASTER_OPT_REAL, d, lo, hi, NULL, u, h}
#define BOOL(k, d, h) {k, ASTER_OPT_BOOL, d, 0, 0, NULL, "", h}
#define CHOICE(k, d, c, h) {k, ASTER_OPT_CHOICE, d, 0, 0, c, "", h}
#define STAGE(k, d, c, h) {k, ASTER_OPT_STAGE, d, 0, 0, c, "", h}
#define STAGES(k, d, c, h) {k, ASTER_OPT_STAGES, d, 0, 0, c, "", h}
#define INTS(k, d, lo, hi, u, h) {k, ASTER_OPT_INTS, d, lo, hi, NULL, u, h}
#define REALS(k, d, lo, hi, u, h) {k, ASTER_OPT_REALS, d, lo, hi, NULL, u, h}
#define STRS(k, d, h) {k, ASTER_OPT_STRS, d, 0, 0, NULL, "", h}
#define FILES(k, d, h) {k, ASTER_OPT_FILES, d, 0, 0, NULL, "", h}
#define END {NULL, ASTER_OPT_STR, NULL, 0, 0, NULL, NULL, NULL}
/* clang-format on */

#define ENCODINGS "onehot|blosum|esm2|esm2_650m"
#define MAX_L     100000

static const struct aster_opt read_table_opts[] = {
    FIL("file", "", NULL,
        "Table of proteins: CSV with columns id and Sequence, and rcl_start and rcl_end where "
        "loops are known; "
        "or FASTA with rcl: headers. Plain or gzip. Empty: no proteins."),
    CHOICE("format", "auto", "auto|csv|fasta",
           "How to read the file; auto looks at its first character."),
    INT("max_length", "1024", 1, MAX_L, "residues",
        "Longer sequences are left out; also the length that models pad to."),
    BOOL("upper_case", "true",
         "Turn lower-case residues into upper case; otherwise they count as unknown."),
    END};

static const struct aster_opt read_fasta_opts[] = {
    FIL("file", NULL, "-", "FASTA, plain or gzip; - is the standard input."),
    BOOL("upper_case", "true",
         "Turn lower-case residues into upper case; otherwise they count as unknown."),
    BOOL("strip_stop", "false", "Remove one * at the end of a sequence."), END};

static const struct aster_opt embeddings_opts[] = {
    FIL("file", "", NULL,
        "Residue vectors: an .npz with encodings, ids, sequences and labels, or a ragged .h5 "
        "store; empty: none."),
    CHOICE("encoding", "esm2_650m", ENCODINGS,
           "The encoding that the vectors are; a store that names another one is refused."),
    INT("dim", "1280", 1, 65536, "", "Width that the vectors must have."),
    INT("max_length", "1024", 1, MAX_L, "residues",
        "Longer sequences are left out; also the length that models pad to."),
    END};

static const struct aster_opt split_opts[] = {
    STAGES("from", NULL, "proteins", "Tables, joined in this order."),
    STAGE("embeddings", "", "embeddings",
          "A store whose proteins and labels replace the tables when it has labels."),
    REAL("train_split", "0.8", 0, 1, "",
         "Share of the proteins that is trained on; the rest, rounded up, validates."),
    INT("seed", "42", 0, 4294967295.0, "", "Seed of the permutation (Mersenne twister 19937)."),
    CHOICE(
        "method", "random", "random|grouped",
        "random: by protein, as the reference does; grouped: similar sequences stay on one side."),
    BOOL("deduplicate", "false", "Drop proteins whose sequence came before."),
    REAL("group_share", "0.5", 0, 1, "",
         "grouped: two sequences are similar when they share this part of the shorter one's "
         "5-mers."),
    END};

#define TRAIN_OPTIONS                                                                              \
    INT("epochs", "50", 1, 100000, "", "At most so many passes over the training part."),          \
        INT("batch_size", "32", 1, 65536, "proteins",                                              \
            "Proteins of one optimizer step, on all devices together."),                           \
        REAL("learning_rate", "0.001", 0, 10, "", "Learning rate at the start."),                  \
        REAL("weight_decay", "0.0001", 0, 10, "",                                                  \
             "Weight decay; added to the gradient for adam and sgd, decoupled for adamw."),        \
        INT("patience", "5", 0, 100000, "epochs",                                                  \
            "Stop after so many epochs without a better value; 0: never."),                        \
        REALS("loss_weights", "1.0,5.0", 0, 1e6, "",                                               \
              "Weights of the two classes, non-RCL and RCL; empty: unweighted."),                  \
        CHOICE("optimizer", "adam", "adam|adamw|sgd", "Optimizer."),                               \
        REAL("beta1", "0.9", 0, 1, "", "adam, adamw: decay of the first moment."),                 \
        REAL("beta2", "0.999", 0, 1, "", "adam, adamw: decay of the second moment."),              \
        REAL("eps", "1e-8", 0, 1, "", "adam, adamw: added to the root of the second moment."),     \
        REAL("momentum", "0.0", 0, 1, "", "sgd: momentum."),                                       \
        CHOICE("scheduler", "reduce_on_plateau", "reduce_on_plateau|cosine|none",                  \
               "Learning-rate schedule, stepped once per epoch."),                                 \
        REAL("plateau_factor", "0.5", 0, 1, "", "reduce_on_plateau: factor of a reduction."),      \
        REAL("plateau_threshold", "0.0001", 0, 1, "",                                              \
             "reduce_on_plateau: relative gain that counts as better."),                           \
        INT("plateau_patience", "-1", -1, 100000, "epochs",                                        \
            "reduce_on_plateau: bad epochs that are borne; -1: half the patience, or 2 "           \
            "without one."),                                                                       \
        REAL("min_lr", "0.0", 0, 10, "", "Lowest learning rate of a schedule."),                   \
        CHOICE("monitor", "val_f1",                                                                \
               "val_f1|val_loss|val_accuracy|val_precision|val_recall|val_f1_macro|val_mcc|val_"   \
               "auc|train_loss",                                                                   \
               "Value that selects the best epoch, steers the plateau schedule and stops early."), \
        CHOICE("mode", "max", "max|min", "Whether a higher or a lower value is better."),          \
        INT("save_top_k", "3", 1, 64, "", "Best states kept; with 1 only best_model.h5."),         \
        CHOICE("precision", "f32", "f32|f64|tf32|bf16",                                            \
               "Number format of weights and activations; tf32, bf16: of f32, but operands of "    \
               "products are rounded so."),                                                        \
        REAL("clip_norm", "0.0", 0, 1e9, "", "Scale gradients down to this norm; 0: off."),        \
        INT("seed", "42", 0, 9007199254740991.0, "",                                               \
            "Seed of initial weights, order and dropout; the result does not depend on the "       \
            "devices."),                                                                           \
        CHOICE("bn", "sync", "sync|local",                                                         \
               "Batch normalisation over the global batch (sync) or per gradient shard (local)."), \
        INT("shards", "8", 1, 256, "",                                                             \
            "Gradient shards of a batch; part of the result, independent of the devices."),        \
        INT("checkpoint_steps", "0", 0, 1e9, "steps",                                              \
            "Checkpoint every so many steps besides each epoch's end; 0: none between."),          \
        INT("window", "2", 1, 64, "steps", "Steps in flight."),                                    \
        BOOL("tensorboard", "true", "Write TensorBoard event files."),                             \
        INT("log_interval", "10", 0, 1e9, "seconds",                                               \
            "Seconds between log lines where there is no dashboard; 0: none."),                    \
        INTS("cnn_channels", "256,128,64,32", 1, 65536, "", "cnn: channels of the layers."),       \
        INTS("cnn_kernel_sizes", "7,5,5,3", 1, 1023, "residues",                                   \
             "cnn: kernel widths of the layers, odd."),                                            \
        REAL("cnn_dropout", "0.3", 0, 1, "", "cnn: dropout."),                                     \
        INT("unet_base_filters", "32", 1, 4096, "", "unet: channels of the first level."),         \
        INT("unet_depth", "4", 1, 8, "", "unet: levels."),                                         \
        REAL("unet_dropout", "0.25", 0, 1, "", "unet: dropout."),                                  \
        BOOL("unet_attention", "true", "unet: attention gates on the skip connections."),          \
        INT("lstm_hidden_dim", "256", 1, 8192, "", "lstm: hidden size of each direction."),        \
        INT("lstm_num_layers", "2", 1, 16, "", "lstm: layers."),                                   \
        REAL("lstm_dropout", "0.3", 0, 1, "", "lstm: dropout.")

static const struct aster_opt train_opts[] = {
    STAGE("data", NULL, "split", "Training and validation proteins."),
    STAGE("embeddings", "", "embeddings", "Residue vectors, for the encodings esm2 and esm2_650m."),
    CHOICE("encoding", "onehot", ENCODINGS, "How residues become numbers."),
    CHOICE("model", "cnn", "cnn|unet|lstm", "Model."),
    TRAIN_OPTIONS,
    END};

static const struct aster_opt load_model_opts[] = {
    PTH("path", NULL,
        "Run folder (best_model.h5 in it is taken) or a weights file, .h5 or .safetensors."),
    CHOICE("precision", "f32", "f32|f64|tf32|bf16",
           "Number format of the computation; tf32, bf16: f32, but operands of products are "
           "rounded so."),
    END};

static const struct aster_opt evaluate_opts[] = {
    STAGE("model", NULL, "model", "The model."),
    STAGES("data", NULL, "proteins|split", "Annotated proteins; of a split its validation part."),
    STAGE("embeddings", "", "embeddings", "Residue vectors, for the encodings esm2 and esm2_650m."),
    REAL("threshold", "0.5", 0, 1, "", "A residue is positive when P(RCL) is above it."),
    INT("min_consecutive", "1", 1, MAX_L, "residues",
        "Shorter runs of positive residues are dropped."),
    INT("batch_size", "32", 1, 65536, "proteins", "Proteins of one task."),
    INT("shard_size", "256", 1, 1e6, "proteins",
        "Proteins of one committed shard: what a kill can lose at most per batch in flight."),
    END};

static const struct aster_opt predict_opts[] = {
    STAGE("model", NULL, "model", "The model."),
    STAGE("input", NULL, "sequences", "Sequences to label."),
    STAGE("embeddings", "", "embeddings", "Residue vectors, for the encodings esm2 and esm2_650m."),
    REAL("threshold", "0.5", 0, 1, "", "A residue is positive when P(RCL) is above it."),
    INT("min_consecutive", "12", 1, MAX_L, "residues",
        "Shorter runs of positive residues are dropped."),
    INT("min_rcl_length", "7", 1, MAX_L, "residues", "Shorter loops are not reported."),
    INT("batch_size", "8", 1, 65536, "proteins", "Proteins of one task."),
    INT("chunk_size", "10000", 1, 1e9, "proteins",
        "Records read and not yet committed, at most: the bound on memory."),
    INT("shard_size", "256", 1, 1e6, "proteins",
        "Records of one committed shard: what a kill can lose at most per batch in flight."),
    BOOL("seq_fasta", "false", "Also write the whole sequences of proteins with a loop."),
    BOOL("rcl_fasta", "false", "Also write the loop sequences."),
    BOOL("csv", "true",
         "Also write a CSV with every protein, its interval or nothing, and the confidence."),
    BOOL("annotated_fasta", "false",
         "Also write every protein as FASTA with rcl: and score: in the header."),
    BOOL("probabilities", "false", "Keep P(RCL) of every residue, in results.h5 and in the CSV."),
    END};

static const struct aster_opt experiments_opts[] = {
    STAGE("data", NULL, "split", "Training and validation proteins."),
    STAGE("embeddings", "", "embeddings",
          "Residue vectors; without them the esm2 encodings are left out with a warning."),
    STAGES("test", "", "proteins",
           "Test proteins; without them only the validation part is compared."),
    STRS("encodings", "onehot,blosum,esm2_650m", "Encodings to train, in this order."),
    STRS("models", "cnn,unet,lstm", "Models to train with each encoding, in this order."),
    INT("esm2_batch_size", "8", 1, 65536, "proteins", "Batch size with the esm2 encodings."),
    REAL("threshold", "0.5", 0, 1, "",
         "Evaluation: a residue is positive when P(RCL) is above it."),
    INT("min_consecutive", "1", 1, MAX_L, "residues",
        "Evaluation: shorter runs of positive residues are dropped."),
    TRAIN_OPTIONS,
    END};

static const struct aster_opt summary_opts[] = {
    PTH("folder", NULL,
        "Folder whose subfolders <encoding>_<model> hold a training_history.json, or a run_NNN "
        "that does."),
    STRS("encodings", "onehot,blosum,esm2_650m", "Encodings expected, in the order of the table."),
    STRS("models", "cnn,lstm,unet", "Models expected, in the order of the table."), END};

static const struct aster_opt validate_table_opts[] = {
    FILES("files", NULL, "CSV tables to check."),
    INT("max_length", "1024", 1, MAX_L, "residues", "Longer sequences get a warning."), END};

static const struct aster_opt load_language_opts[] = {
    PTH("weights", NULL,
        "Folder of the model as it is downloaded, or its file of weights: .safetensors, its index "
        "of shards (.json), or PyTorch's .pt or .bin. drawn:650M and the like, to be timed only: "
        "ESM-2 of that size with drawn numbers."),
    CHOICE("model", "esm2", "esm2|dnabert", "What the model has to be: ESM-2 or DNABERT-S."),
    CHOICE("precision", "f32", "f32|f64|bf16",
           "Number format of the computation; bf16: matrices in bf16, all else in f32."),
    FIL("config", "", NULL,
        "The model's config.json; empty: the one beside the weights, or what a file of fair-esm "
        "says itself."),
    FIL("tokenizer", "", NULL,
        "dnabert: the model's tokenizer.json; empty: the one beside the weights."),
    END};

static const struct aster_opt profile_language_opts[] = {
    STAGE("language", NULL, "language", "The model."),
    INT("min_batch", "512", 1, 1e7, "tokens", "Tokens of the smallest batches."),
    INT("max_batch", "8192", 1, 1e7, "tokens", "Tokens of the largest batches."),
    INT("step", "512", 1, 1e7, "tokens", "Tokens from one size to the next."),
    INT("sequences", "500", 1, 1e6, "", "Sequences, drawn or from the file."),
    INT("length", "0", 0, MAX_L, "letters",
        "Letters of each drawn sequence; 0: 200 of proteins, 300 of DNA."),
    FIL("test_file", "", NULL, "Sequences of a FASTA file instead of drawn ones."),
    END};

static const struct aster_opt read_dna_opts[] = {
    {"files", ASTER_OPT_FILES, NULL, 0, 0, "-", "",
     "FASTA files of DNA, plain or gzip, read one behind the other."},
    BOOL("any_letter", "false",
         "Take letters that are no nucleotide letters for unknown bases, as the reference does; "
         "otherwise a record with one is not judged and reported."),
    END};

static const struct aster_opt load_classifier_opts[] = {
    FIL("file", NULL, NULL,
        "Weights of the classifier: .safetensors, or the published .pth of a pickled module."),
    CHOICE("model_type", "500", "300|500|custom",
           "Length of the chunks that the weights are for; custom: what the file says, else 500."),
    INT("expected_length", "0", 0, 1e6, "bases",
        "Length of the chunks that records are cut into; 0: that of model_type."),
    BOOL("force_length", "false",
         "Also use weights that were trained on chunks of another length."),
    CHOICE("precision", "f32", "f32|f64", "Number format of the computation."),
    END};

static const struct aster_opt validate_dna_opts[] = {
    STAGE("input", NULL, "dna", "Records to check."),
    REAL("ambiguous_percent", "5", 0, 100, "",
         "Records with a larger share of ambiguous bases get a warning."),
    END};

static const struct aster_opt virnucpro_opts[] = {
    STAGE("input", NULL, "dna", "Records to judge."),
    STAGE("dnabert", NULL, "language", "DNABERT-S, for the DNA of a frame."),
    STAGE("esm2", NULL, "language", "ESM-2, for the protein of a frame."),
    STAGE("classifier", NULL, "classifier", "The classifier of both vectors."),
    INT("dnabert_token_budget", "0", 0, 1e7, "tokens",
        "Tokens of a DNABERT-S batch at most, more where one frame needs them; 0: found from the "
        "memory."),
    INT("esm2_token_budget", "0", 0, 1e7, "tokens",
        "Tokens of an ESM-2 batch at most, more where one frame needs them; 0: found from the "
        "memory."),
    INT("batch_size", "256", 1, 65536, "frames",
        "Frames of a task of the classifier. Changes no result."),
    INT("part_size", "1024", 1, 1e6, "chunks",
        "Chunks of one committed part: what a kill can lose is three parts. Equal frames of a part "
        "are computed once."),
    BOOL("keep_intermediate", "false",
         "Also write the chunks and the DNA and proteins of their frames as FASTA."),
    CHOICE("style", "first", "first|reworked|named",
           "Tables as the first published program or its rework write them, or as the first with "
           "columns p_other and p_virus."),
    CHOICE("call", "majority", "majority|mean",
           "A record is virus when more than half of its judged chunks are, or when the mean of "
           "their virus scores is call_threshold or more."),
    REAL("call_threshold", "0.5", 0, 1, "", "call mean: least mean score of a virus."),
    END};

static const struct aster_opt embed_opts[] = {
    STAGES("input", NULL, "sequences|proteins", "Sequences and tables of proteins, in this order."),
    STAGE("language", NULL, "language", "The model, ESM-2."),
    INTS("layers", "-1", -1001, 1000, "",
         "Layers whose vectors are wanted: 0 is what the embedding gives, 1 what the first layer "
         "gives; -1 is the last one with its norm, -2 the one before."),
    CHOICE("output", "both", "mean|residues|both",
           "Vectors of all residues, their mean over each sequence, or both."),
    INT("max_length", "1022", 1, MAX_L, "residues", "Longest sequence that is computed whole."),
    CHOICE("over_length", "error", "error|truncate|windows",
           "Longer sequences: listed as failed; only their begin; or in windows of max_length that "
           "overlap, a residue's vector from the window whose cut ends are farthest from it."),
    INT("overlap", "256", 0, MAX_L, "residues",
        "windows: residues that two windows share, at least."),
    CHOICE("unknown", "unk", "unk|x|error",
           "Letters that the model has no token for: the token <unk>, that of X, or the sequence "
           "is listed as failed."),
    INT("token_budget", "0", 0, 1e8, "tokens",
        "Tokens of one batch, at most; 0: found from the memory. Changes no result."),
    INT("shard_size", "256", 1, 1e6, "proteins",
        "Records of one committed part, at most: what a kill can lose of each part in flight."),
    CHOICE("format", "h5", "h5|npz|both",
           "embeddings.h5, of any size; embeddings.npz, padded, up to 4 GB; or both."),
    END};

static const struct aster_opt load_forcefield_opts[] = {
    FIL("weights", NULL, NULL,
        "Weights of a force field: .h5 as its distiller or asterism convert writes it, "
        ".safetensors "
        "or a PyTorch archive."),
    CHOICE("precision", "f32", "f32|f64", "Number format of the computation."),
    CHOICE("mixing", "file", "file|compat|isotropic",
           "How vectors are mixed: as the file says, by its matrices (energies depend on how a "
           "molecule is turned), or by a third of their traces (they do not)."),
    END};

static const struct aster_opt read_structures_opts[] = {
    {"files", ASTER_OPT_FILES, NULL, 0, 0, "-", "",
     "Molecules and crystals: extxyz, xyz (plain or gzip) or HDF5 data sets, read one behind the "
     "other."},
    END};

static const struct aster_opt evaluate_structures_opts[] = {
    STAGE("forcefield", NULL, "forcefield", "The force field."),
    STAGE("input", NULL, "structures", "Structures to evaluate."),
    INT("batch_atoms", "0", 0, 1e8, "atoms",
        "Atoms of one task, about; larger structures go alone. 0: chosen. Changes no result."),
    INT("shard_size", "256", 1, 1e6, "structures",
        "Structures of one committed part: what a kill can lose at most per part in flight."),
    CHOICE("filters", "auto", "auto|table|exact",
           "Filters of the messages: looked up in a table of distances, or computed for each pair; "
           "auto: "
           "a table in f32, exact in f64."),
    INT("intervals", "512", 16, 65536, "", "Intervals of such a table, from 0 to the cutoff."),
    BOOL("stress", "true", "Give the stress of periodic structures."),
    BOOL("atomic_energies", "false", "Keep the energy of every atom, in results.h5."),
    BOOL("h5", "true", "Write results.h5, in the layout of data sets."),
    BOOL("extxyz", "true", "Write evaluated.extxyz."),
    BOOL("csv", "true", "Write energies.csv, a line for each structure."),
    END};

static const struct aster_opt run_dynamics_opts[] = {
    STAGE("forcefield", NULL, "forcefield", "The force field."),
    STAGE("input", NULL, "structures", "Structures to move."),
    CHOICE(
        "ensemble", "nve", "nve|langevin|npt|exchange",
        "Constant energy; constant temperature by Langevin's thermostat; also constant pressure, "
        "by stochastic rescaling of the cell; or temperatures exchanged between copies of a "
        "structure."),
    INT("steps", "1000", 1, 1e12, "", "Steps to take."),
    REAL("timestep", "0.5", 0, 1000, "fs", "Length of a step."),
    INT("replicas", "1", 1, 1e6, "", "Copies of each structure."),
    INT("seed", "0", 0, 9007199254740992, "",
        "Of all random numbers. They also depend on the structure's place in the input, the copy "
        "and the step."),
    CHOICE("velocities", "auto", "auto|file|temperature|zero",
           "First velocities: those of the input where it has some, else drawn; of the input; "
           "drawn from temperature; none."),
    BOOL("remove_momentum", "true", "Take the motion of the whole out of drawn velocities."),
    BOOL("remove_rotation", "true", "Also its rotation, where nothing is periodic."),
    REAL("temperature", "300", 0, 1e6, "K",
         "Of first velocities and thermostats; of an exchange "
         "the lowest."),
    REAL("friction", "0.001", 0, 1000, "1/fs", "Of the thermostat."),
    REAL("pressure", "0", -1e6, 1e6, "GPa", "npt: pressure from outside."),
    REAL("compressibility", "0.5", 0, 1e9, "1/GPa",
         "npt: of the substance, about; with barostat_time it says how fast the cell follows."),
    REAL("barostat_time", "500", 0, 1e9, "fs", "npt: how long the cell takes to follow."),
    REALS("temperatures", "", 0, 1e6, "K", "exchange: all temperatures, rising."),
    REAL("highest_temperature", "0", 0, 1e6, "K",
         "exchange: as many temperatures as replicas, in equal ratios from temperature to this "
         "one; 0: temperatures says them."),
    INT("exchange_interval", "100", 1, 1e9, "steps", "exchange: from one attempt to the next."),
    INT("log_interval", "10", 1, 1e9, "steps", "Between lines of thermo.csv."),
    INT("frame_interval", "100", 0, 1e9, "steps", "Between frames of the trajectory; 0: none."),
    INT("checkpoint", "1000", 1, 1e9, "steps", "Between commits: what a kill can lose."),
    INT("batch_atoms", "0", 0, 1e8, "atoms",
        "Atoms of one task, about; larger structures go alone. 0: chosen. Changes no result."),
    CHOICE("filters", "auto", "auto|table|exact",
           "Filters of the messages: looked up in a table of distances, or computed for each pair; "
           "auto: a table in f32, exact in f64."),
    INT("intervals", "512", 16, 65536, "", "Intervals of such a table, from 0 to the cutoff."),
    BOOL("h5", "true", "Write trajectory.h5, in the layout of data sets."),
    BOOL("extxyz", "true", "Write trajectory.extxyz."),
    END};

static const struct aster_opt train_forcefield_opts[] = {
    STAGE("data", NULL, "structures", "Structures with energies and forces."),
    STAGE("validation", "", "structures",
          "Structures to validate on; without them a share of data does."),
    FIL("init_weights", "", NULL,
        "Weights to begin with: .h5, .safetensors or a PyTorch archive; their sizes then count "
        "instead of those here, and another cutoff, mixing, cutoff_on or norm_eps than theirs is "
        "refused. Empty: drawn by seed."),
    INT("hidden_dim", "128", 4, 16384, "", "Width: features of an atom."),
    INT("num_interactions", "3", 1, 1000, "", "Message-passing blocks."),
    INT("num_rbf", "20", 1, 16384, "", "Radial functions."),
    REAL("cutoff", "5.0", 0, 1000, "A", "Farthest neighbours."),
    INT("max_z", "118", 1, 118, "", "Highest atomic number that has an embedding."),
    CHOICE("mixing", "compat", "compat|isotropic",
           "How vectors are mixed: by free matrices (energies depend on how a molecule is turned), "
           "or by a third of their traces (they do not)."),
    CHOICE("cutoff_on", "features", "features|filter",
           "What goes to zero at the cutoff: the radial functions, as published, or the filter "
           "(energies then have no jump there)."),
    REAL("norm_eps", "0.0", 0, 1, "",
         "Rounds the kink of vector lengths at 0; 1e-4 is usual, 0 as published."),
    CHOICE("loss", "mse", "mse|mae|huber", "What is minimised, of energies and of forces."),
    REAL("huber_delta", "1.0", 0, 1e+06, "", "huber: errors above it count linearly; above 0."),
    REAL("energy_weight", "1.0", 0, 1e+09, "", "Weight of the energies of structures."),
    REAL("force_weight", "100.0", 0, 1e+09, "", "Weight of the components of forces."),
    REAL("angular_weight", "10.0", 0, 1e+09, "",
         "Weight of the directions of forces, 1 - cos of the angle."),
    FILES("teacher_labels", "",
          "The structures of data in the same order with the energies and forces of a teacher, "
          "such as the evaluated.extxyz of mlff-evaluate; empty: the loss is of the labels alone."),
    REAL("teacher_weight", "0.5", 0, 1, "",
         "teacher_labels: share of the loss that is the mean square of what is off the teacher's "
         "energies and forces; the rest is the loss on labels."),
    REAL("teacher_temperature", "1.0", 0, 1e+06, "",
         "teacher_labels: what energies and forces are divided by in that share; above 0."),
    REAL("train_ratio", "0.9", 0, 1, "",
         "Share of the structures that is trained on, rounded down; the rest validates."),
    INT("epochs", "100", 1, 100000, "", "At most so many passes over the training part."),
    INT("batch_size", "32", 1, 65536, "structures",
        "Structures of one batch, on all devices together."),
    INT("accumulate", "1", 1, 4096, "batches",
        "Batches of one optimizer step, one after the other: its gradient is that of the mean of "
        "their losses, in the memory of one."),
    INT("shards", "8", 1, 256, "",
        "Gradient shards of a batch, each a task; part of the result, independent of the devices."),
    CHOICE("optimizer", "adamw", "adamw|adam|sgd|rmsprop", "Optimizer."),
    REAL("learning_rate", "0.001", 0, 10, "", "Learning rate at its height."),
    REAL("weight_decay", "0.00001", 0, 10, "",
         "Weight decay; decoupled for adamw, else added to the gradient."),
    REAL("beta1", "0.9", 0, 1, "", "adam, adamw: decay of the first moment."),
    REAL("beta2", "0.999", 0, 1, "", "adam, adamw: decay of the second moment."),
    REAL("alpha", "0.99", 0, 1, "", "rmsprop: decay of the squares."),
    REAL("eps", "1e-8", 0, 1, "", "Added to the root of the second moment."),
    REAL("momentum", "0.9", 0, 1, "", "sgd: momentum."),
    REAL("clip_norm", "1.0", 0, 1e+09, "", "Scale gradients down to this norm; 0: off."),
    CHOICE("scheduler", "warmup_cosine",
           "warmup_cosine|cosine|step|exponential|reduce_on_plateau|none",
           "Learning-rate schedule: warmup_cosine rises step by step, then falls once per epoch; "
           "the others change once per epoch."),
    INT("warmup_steps", "1000", 0, 1e+09, "steps",
        "warmup_cosine: steps of the rise, from min_lr."),
    REAL("min_lr", "1e-7", 0, 10, "",
         "Where a cosine ends, and the lowest rate of reduce_on_plateau."),
    INT("step_size", "30", 1, 100000, "epochs", "step: epochs between reductions."),
    REAL("gamma", "0.1", 0, 1, "", "step, exponential: factor of a reduction."),
    REAL("plateau_factor", "0.5", 0, 1, "", "reduce_on_plateau: factor of a reduction."),
    INT("plateau_patience", "10", 0, 100000, "epochs",
        "reduce_on_plateau: bad epochs that are borne."),
    REAL("plateau_threshold", "0.0001", 0, 1, "",
         "reduce_on_plateau: relative gain that counts as better."),
    INT("patience", "20", 0, 100000, "epochs",
        "Stop after so many epochs without a better value; 0: never."),
    CHOICE("monitor", "val_loss",
           "val_loss|val_force_rmse|val_force_mae|val_energy_rmse|val_energy_mae|train_loss",
           "Value, lower is better, that selects the best epoch, steers reduce_on_plateau and "
           "stops early."),
    INT("save_top_k", "1", 1, 64, "", "Best states kept; with 1 only best_model.h5."),
    INT("checkpoint_steps", "0", 0, 1e+09, "steps",
        "Checkpoint every so many steps besides each epoch's end; 0: none between."),
    CHOICE("precision", "f32", "f32|f64", "Number format of weights and activations."),
    INT("seed", "42", 0, 9007199254740991.0, "",
        "Seed of the split, initial weights and order; the result does not depend on the devices."),
    INT("window", "2", 1, 64, "steps", "Steps in flight."),
    BOOL("tensorboard", "true", "Write TensorBoard event files."),
    INT("log_interval", "10", 0, 1e+09, "seconds",
        "Seconds between log lines where there is no dashboard; 0: none."),
    END};

static const struct aster_stage_kind kinds[] = {
    {"read-table", "proteins", "Reads and cleans a table of proteins.", read_table_opts,
     aster_stage_read_table, NULL},
    {"read-fasta", "sequences", "Reads sequences one after the other, in constant memory.",
     read_fasta_opts, aster_stage_read_fasta, NULL},
    {"embeddings", "embeddings", "Opens a file of residue vectors that were computed before.",
     embeddings_opts, aster_stage_embeddings, NULL},
    {"split", "split", "Splits proteins into a training and a validation part.", split_opts,
     aster_stage_split, NULL},
    {"train", "model", "Trains a labelling model; gives its best state.", train_opts,
     aster_stage_train, aster_stage_train_ready},
    {"load-model", "model", "Loads a trained model.", load_model_opts, aster_stage_load_model,
     NULL},
    {"evaluate", "none", "Compares a model with annotations, per residue and per protein.",
     evaluate_opts, aster_stage_evaluate, NULL},
    {"predict", "none", "Finds the loop of every sequence.", predict_opts, aster_stage_predict,
     NULL},
    {"experiments", "none", "Trains every encoding with every model and compares them.",
     experiments_opts, aster_stage_experiments, NULL},
    {"summary", "none", "Compares finished trainings.", summary_opts, aster_stage_summary, NULL},
    {"validate-table", "none", "Checks tables of proteins row by row.", validate_table_opts,
     aster_stage_validate_table, NULL},
    {"load-language", "language", "Opens a pretrained language model of proteins or DNA.",
     load_language_opts, aster_stage_load_language, aster_stage_load_language_ready},
    {"profile-language", "none",
     "Measures a language model with batches of several sizes; writes profile.json.",
     profile_language_opts, aster_stage_profile_language, aster_stage_profile_language_ready},
    {"read-dna", "dna", "Reads records of DNA one after the other, in constant memory.",
     read_dna_opts, aster_stage_read_dna, aster_stage_read_dna_ready},
    {"validate-dna", "none", "Checks records of DNA one by one.", validate_dna_opts,
     aster_stage_validate_dna, NULL},
    {"load-classifier", "classifier", "Loads the classifier of virus frames.", load_classifier_opts,
     aster_stage_load_classifier, aster_stage_load_classifier_ready},
    {"virnucpro", "none",
     "Cuts records into chunks and calls each virus or not by its open reading frames.",
     virnucpro_opts, aster_stage_virnucpro, aster_stage_virnucpro_ready},
    {"embed", "embeddings", "Computes vectors of a protein language model for every sequence.",
     embed_opts, aster_stage_embed, aster_stage_embed_ready},
    {"load-forcefield", "forcefield", "Opens a force field.", load_forcefield_opts,
     aster_stage_load_forcefield, aster_stage_load_forcefield_ready},
    {"read-structures", "structures",
     "Reads molecules and crystals one after the other, in constant memory.", read_structures_opts,
     aster_stage_read_structures, aster_stage_read_structures_ready},
    {"evaluate-structures", "none", "Computes energies, forces and stress of every structure.",
     evaluate_structures_opts, aster_stage_evaluate_structures, NULL},
    {"run-dynamics", "none", "Moves copies of every structure in time.", run_dynamics_opts,
     aster_stage_run_dynamics, aster_stage_run_dynamics_ready},
    {"train-forcefield", "forcefield",
     "Trains a force field on energies and forces; gives its best state.", train_forcefield_opts,
     aster_stage_train_forcefield, aster_stage_train_forcefield_ready},
};

int aster_stage_n_kinds(void)
{
    return (int)(sizeof kinds / sizeof *kinds);
}

const struct aster_stage_kind *aster_stage_kind(int i)
{
    return i >= 0 && i < aster_stage_n_kinds() ? &kinds[i] : NULL;
}

const struct aster_stage_kind *aster_stage_find(const char *name)
{
    for (int i = 0; i < aster_stage_n_kinds(); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}
