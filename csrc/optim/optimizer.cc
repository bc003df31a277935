#include "optim/optimizer.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "optim/adamw.h"
#include "optim/sgd.h"

namespace eisbach::optim {
namespace {

struct Entry {
  absl::string_view name;
  absl::StatusOr<std::unique_ptr<Optimizer>> (*make)(const OptimizerConfig&,
                                                     FlatBuffer&, Stream&);
};

constexpr Entry kOptimizers[] = {
    {"adamw", &AdamW::Make},
    {"sgd", &Sgd::Make},
};

}  // namespace

absl::Status Optimizer::Init(FlatBuffer& buffer,
                             absl::Span<const char* const> names,
                             double weight_decay, Stream& stream) {
  for (size_t b = 0; b < buffer.buckets().size(); ++b) {
    const FlatBucket& bucket = buffer.buckets()[b];
    const size_t first = state_.size();
    for (const char* name : names) {
      EISBACH_ASSIGN_OR_RETURN(
          Tensor state,
          Tensor::Zeros(bucket.grad.shape(), DType::kF32, stream));
      state_.push_back({name, b, std::move(state)});
    }
    for (const FlatSegment& segment : bucket.segments) {
      const auto cut = [&](const Tensor& flat) {
        return flat.Narrow(0, segment.offset, segment.elements);
      };
      Range range;
      EISBACH_ASSIGN_OR_RETURN(range.data, cut(bucket.data));
      EISBACH_ASSIGN_OR_RETURN(range.master, cut(bucket.master));
      EISBACH_ASSIGN_OR_RETURN(range.grad, cut(bucket.grad));
      for (size_t i = first; i < state_.size(); ++i) {
        EISBACH_ASSIGN_OR_RETURN(Tensor piece, cut(state_[i].tensor));
        range.state.push_back(std::move(piece));
      }
      range.weight_decay =
          segment.decay ? static_cast<float>(weight_decay) : 0.0f;
      range.bucket = b;
      range.offset = segment.offset;
      ranges_.push_back(std::move(range));
    }
  }
  return absl::OkStatus();
}

absl::Status Optimizer::RefreshData(const StepState&, Stream& stream) {
  for (const Range& range : ranges_) {
    if (range.data.dtype() == DType::kF32) continue;
    EISBACH_RETURN_IF_ERROR(ops::Copy(range.master, range.data, stream));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(
    const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream) {
  if (!(config.weight_decay >= 0) || !std::isfinite(config.weight_decay)) {
    return absl::InvalidArgumentError(
        absl::StrCat("weight_decay=", config.weight_decay,
                     " is not 0 or above (optimizer.weight_decay)"));
  }
  std::vector<absl::string_view> names;
  for (const Entry& entry : kOptimizers) {
    if (entry.name == config.name) return entry.make(config, buffer, stream);
    names.push_back(entry.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("optimizer \"", config.name, "\" is not one of ",
                   absl::StrJoin(names, ", "), " (optimizer.name)"));
}

}  // namespace eisbach::optim
