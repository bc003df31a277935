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
    return std::tuple(!training.as_matrices, !p->spec().decay,
                      training.rate_factor, training.weight_decay);
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

// Makes the buckets and blocks of one buffer.
class Builder {
 public:
  Builder(DType dtype, int64_t bytes, const Division& division, Stream& stream)
      : dtype_(dtype), bytes_(bytes), division_(division), stream_(stream) {}

  // Adds to `all` the blocks or buckets of those of `parameters` that are
  // `frozen`, from the last on.
  template <typename Block>
  absl::Status Divide(absl::Span<Parameter* const> parameters, bool frozen,
                      std::vector<Block>& all) {
    Block block;
    int64_t used = 0;
    bool tied = false;
    const auto close = [&]() -> absl::Status {
      if (block.parameters.empty()) return absl::OkStatus();
      EISBACH_RETURN_IF_ERROR(Allocate(block));
      all.push_back(std::move(block));
      block = Block();
      used = 0;
      return absl::OkStatus();
    };
    for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
      Parameter& p = **it;
      if (p.trains() == frozen) continue;
      const int64_t elements = p.spec().shape.elements();
      const bool was_tied = std::exchange(tied, !p.spec().tie_key.empty());
      if (tied || was_tied || (used > 0 && (used + elements) * 4 > bytes_)) {
        EISBACH_RETURN_IF_ERROR(close());
      }
      block.parameters.push_back(&p);
      used = Align(used + elements);
    }
    return close();
  }

 private:
  bool divides(int zero) const {
    return division_.parts > 1 && division_.zero >= zero;
  }

  absl::StatusOr<Tensor> Zeros(int64_t elements, DType dtype) {
    return Tensor::Zeros(Shape{elements}, dtype, stream_);
  }

  // Places the parameters, and makes `data` and `weights`; returns this rank's
  // part.
  absl::StatusOr<ElementRange> AllocateWeights(FlatWeights& block,
                                               bool divides_own) {
    const int64_t used = Arrange(block.parameters, block.offsets);
    const int64_t unit = kAlignElements * division_.parts;
    const int64_t part = (used + unit - 1) / unit * kAlignElements;
    block.elements = part * division_.parts;
    const ElementRange mine{part * division_.part, part};
    block.own = divides_own ? mine : ElementRange{0, block.elements};
    // What other ranks gather lies where they reach it.
    const auto zeros = [&](int64_t elements) {
      return divides_own ? Tensor::SharedZeros(Shape{elements}, dtype_, stream_)
                         : Zeros(elements, dtype_);
    };
    if (divides(3)) {
      EISBACH_ASSIGN_OR_RETURN(block.weights, zeros(part));
      return mine;
    }
    EISBACH_ASSIGN_OR_RETURN(block.data, zeros(block.elements));
    EISBACH_ASSIGN_OR_RETURN(block.weights, Own(block.data, block));
    return mine;
  }

  absl::Status Allocate(FlatBucket& bucket) {
    SortByTraining(bucket.parameters);
    EISBACH_ASSIGN_OR_RETURN(bucket.part, AllocateWeights(bucket, divides(1)));
    bucket.master = bucket.weights;
    if (dtype_ != DType::kF32) {
      EISBACH_ASSIGN_OR_RETURN(bucket.master,
                               Zeros(bucket.own.elements, DType::kF32));
    }
    if (divides(2)) {
      EISBACH_ASSIGN_OR_RETURN(bucket.reduced,
                               Zeros(bucket.own.elements, DType::kF32));
    } else {
      EISBACH_ASSIGN_OR_RETURN(
          bucket.grad,
          Tensor::SharedZeros(Shape{bucket.elements}, DType::kF32, stream_));
      EISBACH_ASSIGN_OR_RETURN(bucket.reduced, Own(bucket.grad, bucket));
    }
    for (size_t i = 0; i < bucket.parameters.size(); ++i) {
      Parameter& p = *bucket.parameters[i];
      AddSegment(bucket, bucket.offsets[i], p.spec());
      EISBACH_RETURN_IF_ERROR(Bind(bucket, i, bucket.master, bucket.reduced));
    }
    EISBACH_RETURN_IF_ERROR(BindData(bucket, bucket.data));
    return BindGradients(bucket, bucket.grad);
  }

  absl::Status Allocate(FrozenBlock& block) {
    EISBACH_RETURN_IF_ERROR(AllocateWeights(block, divides(3)).status());
    for (size_t i = 0; i < block.parameters.size(); ++i) {
      EISBACH_RETURN_IF_ERROR(Bind(block, i, block.weights, Tensor()));
    }
    return BindData(block, block.data);
  }

  // Binds what a parameter has of the block's own elements.
  absl::Status Bind(const FlatWeights& block, size_t i, const Tensor& master,
                    const Tensor& reduced) {
    Parameter& p = *block.parameters[i];
    ParameterDivision division;
    if (block.own.elements < block.elements) {
      division = {division_.parts, division_.part, block.own.elements,
                  block.offsets[i]};
    }
    p.Bind({}, division);
    const ElementRange own = p.own();
    const auto cut = [&](const Tensor& flat) {
      const int64_t at = block.offsets[i] + own.begin - block.own.begin;
      return flat.Narrow(0, own.elements == 0 ? 0 : at, own.elements);
    };
    ParameterTensors tensors;
    EISBACH_ASSIGN_OR_RETURN(tensors.master, cut(master));
    if (!p.divided()) {
      EISBACH_ASSIGN_OR_RETURN(tensors.master,
                               tensors.master.View(p.spec().shape));
    }
    if (reduced.defined()) {
      EISBACH_ASSIGN_OR_RETURN(tensors.reduced, cut(reduced));
    }
    p.Bind(std::move(tensors), division);
    return absl::OkStatus();
  }

  static absl::StatusOr<Tensor> Own(const Tensor& flat,
                                    const FlatWeights& block) {
    return flat.Narrow(0, block.own.begin, block.own.elements);
  }

  const DType dtype_;
  const int64_t bytes_;
  const Division division_;
  Stream& stream_;
};

}  // namespace

absl::Status BindData(const FlatWeights& weights, const Tensor& flat) {
  for (size_t i = 0; i < weights.parameters.size(); ++i) {
    Parameter& p = *weights.parameters[i];
    Tensor data;
    if (flat.defined()) {
      EISBACH_ASSIGN_OR_RETURN(data, Place(flat, p.spec(), weights.offsets[i]));
    }
    p.set_data(std::move(data));
  }
  return absl::OkStatus();
}

absl::Status BindGradients(const FlatBucket& bucket, const Tensor& flat) {
  for (size_t i = 0; i < bucket.parameters.size(); ++i) {
    Parameter& p = *bucket.parameters[i];
    Tensor grad;
    if (flat.defined()) {
      EISBACH_ASSIGN_OR_RETURN(grad, Place(flat, p.spec(), bucket.offsets[i]));
    }
    p.set_grad(std::move(grad));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FlatBuffer>> FlatBuffer::Make(
    absl::Span<Parameter* const> parameters, DType compute_dtype,
    int64_t bucket_bytes, Stream& stream, const Division& division) {
  EISBACH_RETURN_IF_ERROR(CheckNames(parameters));
  std::unique_ptr<FlatBuffer> buffer(new FlatBuffer());
  buffer->compute_dtype_ = compute_dtype;
  buffer->division_ = division;
  Builder builder(compute_dtype, bucket_bytes, division, stream);
  EISBACH_RETURN_IF_ERROR(
      builder.Divide(parameters, /*frozen=*/false, buffer->buckets_));
  EISBACH_RETURN_IF_ERROR(
      builder.Divide(parameters, /*frozen=*/true, buffer->frozen_));
  return buffer;
}

}  // namespace eisbach
