#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "autograd/functions/trained_rows.h"
#include "ops/cross_entropy.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// Which columns of the vocabulary the logits hold, and how the ranks that hold
// the others take part.
struct VocabularyShard {
  int64_t first_column = 0;
  int64_t valid_columns = 0;  // the rest is padding
  int64_t vocab = 0;          // of all ranks
  // Gathers the stats [N, n] of all ranks to [R, N, n]; null for one rank.
  std::function<absl::StatusOr<Tensor>(const Tensor& stats)> gather;
};

// One rank's, which holds all `columns`.
inline VocabularyShard WholeVocabulary(int64_t columns) {
  return {.valid_columns = columns, .vocab = columns};
}

// What the loss of one token counts, a device tensor (f32 [1], undefined for 1)
// that gradients alone are multiplied by besides, and one (f64 [1], may be
// undefined) to which the number of tokens that are not masked is added. With
// `terms`, which gradients have in them, that is f64 [3]: after the number come
// the scaled sums of what each term adds, and the loss is without them.
struct LossScale {
  float scale;
  Tensor gradient_factor{};
  Tensor counted{};
  ops::LossTerms terms{};
};

// loss (f64 [1]) = scale * sum over tokens of the cross-entropy of `logits`
// [..., columns] against `targets` (i32 [...], one a row; below 0: masked). See
// ops/cross_entropy.h. InvalidArgument as of ops::CheckIds for other targets.
// Backward turns the logits into their gradient in place, so nobody may read
// them after it, and takes the seed gradient to be 1.
absl::StatusOr<Tensor> CrossEntropy(const Tensor& logits, const Tensor& targets,
                                    const VocabularyShard& shard,
                                    const LossScale& scale, Stream& stream);

// The same of logits = x · weight^T, with x [..., H] and weight [columns, H],
// which are never there as a whole: a chunk of rows at a time is multiplied
// out, turned into its gradient and multiplied back, so memory does not grow
// with vocabulary x tokens (the idea of Liger Kernel, arXiv:2410.10989, section
// 3). So a recorded forward does the work of backward: it has already added to
// the weight's gradient, and saves the gradient of x. `logits_bytes` bounds a
// chunk (which has one row at least); 0: what suits the device
// (head_chunks.h). Where `cap` is not 0 logits are bounded by it
// (ops/softcap.h); that takes a second chunk. `rows`: those that are trained
// where `weight` is not, or null.
absl::StatusOr<Tensor> LinearCrossEntropy(
    const Tensor& x, Parameter& weight, const Tensor& targets,
    const VocabularyShard& shard, const LossScale& scale, Stream& stream,
    int64_t logits_bytes = 0, double cap = 0,
    const TrainedRows* rows = nullptr);

}  // namespace eisbach::autograd
