#include "tensor/flat_buffer.h"

#include <algorithm>
#include <string>
#include <tuple>
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

void AddSegment(FlatBucket& bucket, int64_t offset, const ParamSpec& spec) {
  const int64_t elements = spec.shape.elements();
  if (!bucket.segments.empty()) {
    FlatSegment& last = bucket.segments.back();
    // A gap is zero in value, gradient and state, and stays so under any
    // optimizer: neighbours of one kind become one run across it.
    if (last.decay == spec.decay && last.training == spec.training) {
      last.elements = offset + elements - last.offset;
      return;
    }
  }
  bucket.segments.push_back({offset, elements, spec.decay, spec.training});
}

// Those that are trained alike stand side by side.
void SortByTraining(std::vector<Parameter*>& parameters) {
  const auto key = [](const Parameter* p) {
    const Training& training = p->spec().training;
    return std::tuple(!p->spec().decay, training.rate_factor,
                      training.weight_decay);
  };
  std::stable_sort(parameters.begin(), parameters.end(),
                   [&](Parameter* a, Parameter* b) { return key(a) < key(b); });
}

// Gives each parameter its place; returns the length of the whole.
int64_t Arrange(absl::Span<Parameter* const> parameters,
                std::vector<int64_t>& offsets) {
  int64_t used = 0;
  for (const Parameter* p : parameters) {
    offsets.push_back(used);
    used = Align(used + p->spec().shape.elements());
  }
  return used;
}

// The part of `flat` that is a parameter's.
absl::StatusOr<Tensor> Place(const Tensor& flat, const ParamSpec& spec,
                             int64_t offset) {
  EISBACH_ASSIGN_OR_RETURN(Tensor piece,
                           flat.Narrow(0, offset, spec.shape.elements()));
  return piece.View(spec.shape);
}

absl::Status Allocate(FlatBucket& bucket, DType dtype, Stream& stream) {
  SortByTraining(bucket.parameters);
  const int64_t elements = Arrange(bucket.parameters, bucket.offsets);
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
    const auto place = [&](const Tensor& flat) {
      return Place(flat, p.spec(), bucket.offsets[i]);
    };
    AddSegment(bucket, bucket.offsets[i], p.spec());
    EISBACH_ASSIGN_OR_RETURN(Tensor data, place(bucket.data));
    EISBACH_ASSIGN_OR_RETURN(Tensor master, place(bucket.master));
    EISBACH_ASSIGN_OR_RETURN(Tensor grad, place(bucket.grad));
    p.Bind(std::move(data), std::move(master), std::move(grad));
  }
  return absl::OkStatus();
}

absl::Status Allocate(FrozenBlock& block, DType dtype, Stream& stream) {
  const int64_t elements = Arrange(block.parameters, block.offsets);
  EISBACH_ASSIGN_OR_RETURN(block.data,
                           Tensor::Zeros(Shape{elements}, dtype, stream));
  for (size_t i = 0; i < block.parameters.size(); ++i) {
    Parameter& p = *block.parameters[i];
    EISBACH_ASSIGN_OR_RETURN(Tensor data,
                             Place(block.data, p.spec(), block.offsets[i]));
    p.Bind(data, data, Tensor());
  }
  return absl::OkStatus();
}

// Adds to `all` the blocks or buckets of those of `parameters` that are
// `frozen`, from the last on.
template <typename Block>
absl::Status Divide(absl::Span<Parameter* const> parameters, bool frozen,
                    int64_t bytes, DType dtype, Stream& stream,
                    std::vector<Block>& all) {
  Block block;
  int64_t used = 0;
  const auto close = [&]() -> absl::Status {
    if (block.parameters.empty()) return absl::OkStatus();
    EISBACH_RETURN_IF_ERROR(Allocate(block, dtype, stream));
    all.push_back(std::move(block));
    block = Block();
    used = 0;
    return absl::OkStatus();
  };
  for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
    Parameter& p = **it;
    if (p.trains() == frozen) continue;
    const int64_t elements = p.spec().shape.elements();
    if (used > 0 && (used + elements) * 4 > bytes) {
      EISBACH_RETURN_IF_ERROR(close());
    }
    block.parameters.push_back(&p);
    used = Align(used + elements);
  }
  return close();
}

}  // namespace

absl::StatusOr<std::unique_ptr<FlatBuffer>> FlatBuffer::Make(
    absl::Span<Parameter* const> parameters, DType compute_dtype,
    int64_t bucket_bytes, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckNames(parameters));
  std::unique_ptr<FlatBuffer> buffer(new FlatBuffer());
  buffer->compute_dtype_ = compute_dtype;
  EISBACH_RETURN_IF_ERROR(Divide(parameters, /*frozen=*/false, bucket_bytes,
                                 compute_dtype, stream, buffer->buckets_));
  EISBACH_RETURN_IF_ERROR(Divide(parameters, /*frozen=*/true, bucket_bytes,
                                 compute_dtype, stream, buffer->frozen_));
  return buffer;
}

}  // namespace eisbach
