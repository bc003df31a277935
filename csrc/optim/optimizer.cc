#include "optim/optimizer.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "optim/adamw.h"
#include "optim/sgd.h"

namespace eisbach::optim {
namespace {

struct Entry {
  absl::string_view name;
  absl::Status (*validate)(const OptimizerConfig&, DType);
  absl::StatusOr<std::unique_ptr<Optimizer>> (*make)(const OptimizerConfig&,
                                                     FlatBuffer&, Stream&);
};

constexpr Entry kOptimizers[] = {
    {"adamw", &AdamW::Validate, &AdamW::Make},
    {"sgd", &Sgd::Validate, &Sgd::Make},
};

absl::StatusOr<const Entry*> Find(absl::string_view name) {
  std::vector<absl::string_view> names;
  for (const Entry& entry : kOptimizers) {
    if (entry.name == name) return &entry;
    names.push_back(entry.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("optimizer \"", name, "\" is not one of ",
                   absl::StrJoin(names, ", "), " (optimizer.name)"));
}

}  // namespace

absl::Status Optimizer::Init(FlatBuffer& buffer,
                             absl::Span<const char* const> names,
                             double weight_decay, Stream& stream) {
  state_names_.assign(names.begin(), names.end());
  for (size_t b = 0; b < buffer.buckets().size(); ++b) {
    const FlatBucket& bucket = buffer.buckets()[b];
    const size_t first = state_.size();
    for (const char* name : names) {
      EISBACH_ASSIGN_OR_RETURN(
          Tensor state,
          Tensor::Zeros(bucket.reduced.shape(), DType::kF32, stream));
      state_.push_back({name, b, std::move(state)});
    }
    for (const FlatSegment& segment : bucket.segments) {
      const ElementRange mine =
          Intersect({segment.offset, segment.elements}, bucket.own);
      if (mine.elements == 0) continue;
      const auto cut = [&](const Tensor& flat) {
        return flat.Narrow(0, mine.begin - bucket.own.begin, mine.elements);
      };
      Range range;
      EISBACH_ASSIGN_OR_RETURN(range.data, cut(bucket.weights));
      EISBACH_ASSIGN_OR_RETURN(range.master, cut(bucket.master));
      EISBACH_ASSIGN_OR_RETURN(range.grad, cut(bucket.reduced));
      for (size_t i = first; i < state_.size(); ++i) {
        EISBACH_ASSIGN_OR_RETURN(Tensor piece, cut(state_[i].tensor));
        range.state.push_back(std::move(piece));
      }
      range.weight_decay = segment.training.weight_decay.value_or(
          segment.decay ? static_cast<float>(weight_decay) : 0.0f);
      range.rate_factor = segment.training.rate_factor;
      range.bucket = b;
      range.offset = mine.begin;
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

absl::Status Validate(const OptimizerConfig& config, DType compute_dtype) {
  EISBACH_ASSIGN_OR_RETURN(const Entry* entry, Find(config.name));
  if (config.weight_decay < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("weight_decay=", config.weight_decay,
                     " is below 0 (optimizer.weight_decay)"));
  }
  EISBACH_RETURN_IF_ERROR(CheckFitsF32("weight_decay", config.weight_decay,
                                       "optimizer.weight_decay"));
  EISBACH_RETURN_IF_ERROR(ValidateGroups(config.groups));
  return entry->validate(config, compute_dtype);
}

absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(
    const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(Validate(config, buffer.compute_dtype()));
  EISBACH_ASSIGN_OR_RETURN(const Entry* entry, Find(config.name));
  return entry->make(config, buffer, stream);
}

}  // namespace eisbach::optim
