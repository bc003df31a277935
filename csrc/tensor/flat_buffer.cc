#include "tensor/flat_buffer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach {
namespace {

constexpr int64_t kAlignElements = 64;  // 256 bytes of f32

int64_t Align(int64_t n) {
  return (n + kAlignElements - 1) / kAlignElements * kAlignElements;
}

// Initial values, checkpoints and exports go by name.
absl::Status CheckNames(absl::Span<Parameter* const> parameters) {
  absl::flat_hash_map<std::string, size_t> owners;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const ParamSpec& spec = parameters[i]->spec();
    if (parameters[i]->in_use()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the parameter ", spec.name,
                       " is in use by another update; end that one first"));
    }
    const auto taken = [&](const std::string& name) -> absl::Status {
      const size_t owner = owners.emplace(name, i).first->second;
      if (owner == i) return absl::OkStatus();
      return absl::InvalidArgumentError(absl::StrCat(
          "the parameters ", owner, " (", parameters[owner]->spec().name, " ",
          parameters[owner]->spec().shape.ToString(), ") and ", i, " (",
          spec.name, " ", spec.shape.ToString(), "), counted from 0 in the ",
          "order of forward, both have the name ", name,
          ", by which initial values and checkpoints go; give one of their ",
          "layers another, or list one parameter twice to share it"));
    };
    EISBACH_RETURN_IF_ERROR(taken(spec.name));
    for (const LogicalSlice& slice : spec.slices) {
      EISBACH_RETURN_IF_ERROR(taken(slice.name));
    }
  }
  return absl::OkStatus();
}

void AddSegment(FlatBucket& bucket, int64_t offset, int64_t elements,
                bool decay) {
  if (!bucket.segments.empty()) {
    FlatSegment& last = bucket.segments.back();
    // A gap is zero in value, gradient and state, and stays so under any
    // optimizer: neighbours of one kind become one run across it.
    if (last.decay == decay) {
      last.elements = offset + elements - last.offset;
      return;
    }
  }
  bucket.segments.push_back({offset, elements, decay});
}

// Gives each parameter its place; returns the length of the bucket.
int64_t Arrange(FlatBucket& bucket) {
  std::stable_partition(bucket.parameters.begin(), bucket.parameters.end(),
                        [](const Parameter* p) { return p->spec().decay; });
  int64_t used = 0;
  for (const Parameter* p : bucket.parameters) {
    const int64_t elements = p->spec().shape.elements();
    bucket.offsets.push_back(used);
    AddSegment(bucket, used, elements, p->spec().decay);
    used = Align(used + elements);
  }
  return used;
}

absl::Status Allocate(FlatBucket& bucket, DType dtype, Stream& stream) {
  const int64_t elements = Arrange(bucket);
  EISBACH_ASSIGN_OR_RETURN(bucket.master,
                           Tensor::Zeros(Shape{elements}, DType::kF32, stream));
  EISBACH_ASSIGN_OR_RETURN(
      bucket.grad, Tensor::SharedZeros(Shape{elements}, DType::kF32, stream));
  bucket.data = bucket.master;
  if (dtype != DType::kF32) {
    EISBACH_ASSIGN_OR_RETURN(bucket.data,
                             Tensor::Zeros(Shape{elements}, dtype, stream));
  }
  for (size_t i = 0; i < bucket.parameters.size(); ++i) {
    Parameter& p = *bucket.parameters[i];
    const auto place = [&](const Tensor& flat) -> absl::StatusOr<Tensor> {
      EISBACH_ASSIGN_OR_RETURN(
          Tensor piece,
          flat.Narrow(0, bucket.offsets[i], p.spec().shape.elements()));
      return piece.View(p.spec().shape);
    };
    EISBACH_ASSIGN_OR_RETURN(Tensor data, place(bucket.data));
    EISBACH_ASSIGN_OR_RETURN(Tensor master, place(bucket.master));
    EISBACH_ASSIGN_OR_RETURN(Tensor grad, place(bucket.grad));
    p.Bind(std::move(data), std::move(master), std::move(grad));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<FlatBuffer>> FlatBuffer::Make(
    absl::Span<Parameter* const> parameters, DType compute_dtype,
    int64_t bucket_bytes, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckNames(parameters));
  std::unique_ptr<FlatBuffer> buffer(new FlatBuffer());
  buffer->compute_dtype_ = compute_dtype;
  FlatBucket bucket;
  int64_t used = 0;
  const auto close = [&]() -> absl::Status {
    if (bucket.parameters.empty()) return absl::OkStatus();
    EISBACH_RETURN_IF_ERROR(Allocate(bucket, compute_dtype, stream));
    buffer->buckets_.push_back(std::move(bucket));
    bucket = FlatBucket();
    used = 0;
    return absl::OkStatus();
  };
  for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
    Parameter& p = **it;
    const int64_t elements = p.spec().shape.elements();
    if (used > 0 && (used + elements) * 4 > bucket_bytes) {
      EISBACH_RETURN_IF_ERROR(close());
    }
    bucket.parameters.push_back(&p);
    used = Align(used + elements);
  }
  EISBACH_RETURN_IF_ERROR(close());
  return buffer;
}

}  // namespace eisbach
