#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tensor/parameter.h"

namespace eisbach {

// A run of elements of a bucket that the optimizer treats alike.
struct FlatSegment {
  int64_t offset = 0;
  int64_t elements = 0;
  bool decay = false;
  Training training;
};

// How ranks that hold equal weights divide every bucket: rank `part` has the
// part of that number of `parts` of one length (ZeRO, Rajbhandari et al. 2020).
struct Division {
  int parts = 1;
  int part = 0;
  // What a rank keeps of its own part alone. 0: nothing, 1: masters and
  // optimizer state, 2: gradients as well, 3: weights as well. Where there is
  // one part, all of it.
  int zero = 0;
};

// Weights that share storage. All of their tensors are one-dimensional; gaps
// between parameters (alignment), and what makes parts equally long, are zero
// and stay so.
struct FlatWeights {
  std::vector<Parameter*> parameters;
  std::vector<int64_t> offsets;  // of each parameter, in elements
  int64_t elements = 0;
  Tensor data;  // compute dtype, all elements; undefined where divided
  // What this rank updates or keeps: all elements, or its part.
  ElementRange own;
  Tensor weights;  // compute dtype, of `own`: a part of `data` where defined
};

// Parameters that are trained: first those that are matrices to the optimizer;
// of these and of the rest those that decay, then the others, and among
// them those that are trained alike, each in the order in which backward fills
// them, so that a bucket has few segments, mostly two, and the optimizer as
// many kernels. One of a tie key has a bucket to itself, which is divided alike
// wherever it is tied.
struct FlatBucket : FlatWeights {
  Tensor master;  // f32, of `own`; `weights` itself when computing in f32
  // f32, all elements, in shared memory: it is what ranks reduce. Undefined
  // where divided.
  Tensor grad;
  Tensor reduced;  // f32, of `own`: a part of `grad` where that is defined
  // This rank's part, whether or not more than that is its own.
  ElementRange part;
  std::vector<FlatSegment> segments;
};

// Parameters that are not trained, in the compute dtype alone. Laid out as a
// bucket is.
struct FrozenBlock : FlatWeights {};

// Makes the parameters' data, or gradients, views of `flat`, which has all
// elements; with an undefined tensor, undefined.
absl::Status BindData(const FlatWeights& weights, const Tensor& flat);
absl::Status BindGradients(const FlatBucket& bucket, const Tensor& flat);

// The storage of a stage's parameters, gradients and master copies.
class FlatBuffer {
 public:
  // Divides `parameters` (given in the order of forward; each once) backwards
  // into buckets of about `bucket_bytes` of f32 gradient, those that are frozen
  // into blocks of about as many bytes of f32, and binds them. Values
  // are zero until initialised. InvalidArgument when two have a name in common,
  // their own or that of a logical tensor, or when one is in use elsewhere.
  // Where a division says so, gradients or weights have no storage of their own
  // but of this rank's part.
  static absl::StatusOr<std::unique_ptr<FlatBuffer>> Make(
      absl::Span<Parameter* const> parameters, DType compute_dtype,
      int64_t bucket_bytes, Stream& stream, const Division& division = {});

  std::vector<FlatBucket>& buckets() { return buckets_; }
  const std::vector<FlatBucket>& buckets() const { return buckets_; }
  std::vector<FrozenBlock>& frozen() { return frozen_; }
  const std::vector<FrozenBlock>& frozen() const { return frozen_; }
  // Those of all buckets and blocks.
  template <typename F>
  void VisitParameters(F&& visit) {
    for (FlatBucket& bucket : buckets_) {
      for (Parameter* parameter : bucket.parameters) visit(*parameter);
    }
    for (FrozenBlock& block : frozen_) {
      for (Parameter* parameter : block.parameters) visit(*parameter);
    }
  }
  DType compute_dtype() const { return compute_dtype_; }
  const Division& division() const { return division_; }

 private:
  FlatBuffer() = default;

  DType compute_dtype_ = DType::kF32;
  Division division_;
  std::vector<FlatBucket> buckets_;
  std::vector<FrozenBlock> frozen_;
};

}  // namespace eisbach
