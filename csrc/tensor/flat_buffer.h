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

// Parameters that share storage: those that decay, then the others, and among
// them those that are trained alike, each in the order in which backward fills
// them, so that a bucket has few segments, mostly two, and the optimizer as
// many kernels. All tensors are one-dimensional and of the same length; gaps
// between parameters (alignment) are zero and stay so.
struct FlatBucket {
  Tensor data;    // compute dtype
  Tensor master;  // f32; `data` itself when computing in f32
  Tensor grad;    // f32, in shared memory: it is what ranks reduce
  std::vector<Parameter*> parameters;
  std::vector<int64_t> offsets;  // of each parameter, in elements
  std::vector<FlatSegment> segments;
};

// Parameters that are not trained, in the compute dtype alone. Laid out as a
// bucket is.
struct FrozenBlock {
  Tensor data;
  std::vector<Parameter*> parameters;
  std::vector<int64_t> offsets;
};

// The storage of a stage's parameters, gradients and master copies.
class FlatBuffer {
 public:
  // Divides `parameters` (given in the order of forward; each once) backwards
  // into buckets of about `bucket_bytes` of f32 gradient, those that are frozen
  // into blocks of about as many bytes of f32, and binds them. Values
  // are zero until initialised. InvalidArgument when two have a name in common,
  // their own or that of a logical tensor, or when one is in use elsewhere.
  static absl::StatusOr<std::unique_ptr<FlatBuffer>> Make(
      absl::Span<Parameter* const> parameters, DType compute_dtype,
      int64_t bucket_bytes, Stream& stream);

  std::vector<FlatBucket>& buckets() { return buckets_; }
  const std::vector<FlatBucket>& buckets() const { return buckets_; }
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

 private:
  FlatBuffer() = default;

  DType compute_dtype_ = DType::kF32;
  std::vector<FlatBucket> buckets_;
  std::vector<FrozenBlock> frozen_;
};

}  // namespace eisbach
