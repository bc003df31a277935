#include "optim/optimizer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "ops/average.h"
#include "ops/elementwise.h"
#include "optim/adamw.h"
#include "optim/lion.h"
#include "optim/muon.h"
#include "optim/sgd.h"

namespace eisbach::optim {
namespace {

struct Entry {
  absl::string_view name;
  absl::Status (*validate)(const OptimizerConfig&, DType);
  absl::StatusOr<std::unique_ptr<Optimizer>> (*make)(const OptimizerConfig&,
                                                     FlatBuffer&, Stream&,
                                                     MatrixRanks*);
};

constexpr Entry kOptimizers[] = {
    {"adamw", &AdamW::Validate, &AdamW::Make},
    {"lion", &Lion::Validate, &Lion::Make},
    {"muon", &Muon::Validate, &Muon::Make},
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
                             absl::Span<const StateName> names,
                             const OptimizerConfig& config, Stream& stream) {
  average_decay_ = config.average_decay;
  for (const StateName& name : names) state_names_.push_back(name.name);
  if (average_decay_ > 0) state_names_.push_back(kAverageName);
  for (size_t b = 0; b < buffer.buckets().size(); ++b) {
    const FlatBucket& bucket = buffer.buckets()[b];
    const size_t first = state_.size();
    EISBACH_RETURN_IF_ERROR(AddStates(b, bucket, names, stream));
    EISBACH_RETURN_IF_ERROR(
        AddRanges(b, bucket, first, state_.size() - first, config));
    if (average_decay_ == 0) continue;
    EISBACH_ASSIGN_OR_RETURN(
        Tensor average,
        Tensor::Zeros(bucket.master.shape(), DType::kF32, stream));
    averages_.push_back({bucket.master, average});
    state_.push_back({kAverageName, b, bucket.own, std::move(average)});
  }
  return absl::OkStatus();
}

absl::Status Optimizer::AddStates(size_t index, const FlatBucket& bucket,
                                  absl::Span<const StateName> names,
                                  Stream& stream) {
  // Those that are matrices come first in a bucket.
  int64_t begin = bucket.elements;
  for (const FlatSegment& segment : bucket.segments) {
    if (!segment.training.as_matrices) begin = std::min(begin, segment.offset);
  }
  const ElementRange rest =
      Intersect({begin, bucket.elements - begin}, bucket.own);
  for (const StateName& name : names) {
    const ElementRange range = name.of_matrices ? bucket.own : rest;
    if (range.elements == 0) continue;
    EISBACH_ASSIGN_OR_RETURN(Tensor state, Tensor::Zeros(Shape{range.elements},
                                                         DType::kF32, stream));
    state_.push_back({name.name, index, range, std::move(state)});
  }
  return absl::OkStatus();
}

absl::Status Optimizer::AddRanges(size_t index, const FlatBucket& bucket,
                                  size_t first_state, size_t states,
                                  const OptimizerConfig& config) {
  for (const FlatSegment& segment : bucket.segments) {
    if (segment.training.as_matrices) continue;
    const ElementRange mine =
        Intersect({segment.offset, segment.elements}, bucket.own);
    if (mine.elements == 0) continue;
    const auto cut = [&](const Tensor& flat, const ElementRange& range) {
      return flat.Narrow(0, mine.begin - range.begin, mine.elements);
    };
    Range range;
    EISBACH_ASSIGN_OR_RETURN(range.data, cut(bucket.weights, bucket.own));
    EISBACH_ASSIGN_OR_RETURN(range.master, cut(bucket.master, bucket.own));
    EISBACH_ASSIGN_OR_RETURN(range.grad, cut(bucket.reduced, bucket.own));
    for (size_t i = first_state; i < first_state + states; ++i) {
      EISBACH_ASSIGN_OR_RETURN(Tensor piece,
                               cut(state_[i].tensor, state_[i].range));
      range.state.push_back(std::move(piece));
    }
    range.weight_decay = WeightDecayOf(config, segment.decay, segment.training);
    range.rate_factor = segment.training.rate_factor;
    range.bucket = index;
    range.offset = mine.begin;
    ranges_.push_back(std::move(range));
  }
  return absl::OkStatus();
}

absl::Status Optimizer::Step(const StepState& state, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(Apply(state, stream));
  for (const Averaged& each : averages_) {
    EISBACH_RETURN_IF_ERROR(ops::Average({.master = each.master,
                                          .average = each.average,
                                          .step_state = state.values(),
                                          .decay = average_decay_},
                                         stream));
  }
  return absl::OkStatus();
}

absl::Status Optimizer::StartAverage(Stream& stream) {
  for (const Averaged& each : averages_) {
    EISBACH_RETURN_IF_ERROR(ops::Copy(each.master, each.average, stream));
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

absl::Status CheckBetas(const OptimizerConfig& config) {
  for (double beta : {config.beta1, config.beta2}) {
    if (beta >= 0 && beta < 1) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("beta ", beta, " is outside [0, 1) (optimizer.betas)"));
  }
  return absl::OkStatus();
}

float WeightDecayOf(const OptimizerConfig& config, bool decays,
                    const Training& training) {
  return training.weight_decay.value_or(
      decays ? static_cast<float>(config.weight_decay) : 0.0f);
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
  if (!(config.average_decay >= 0 && config.average_decay < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("ema=", config.average_decay,
                     " is outside [0, 1) (train.ema); 0 keeps no average"));
  }
  EISBACH_RETURN_IF_ERROR(ValidateGroups(config.groups, config.name == "muon"));
  return entry->validate(config, compute_dtype);
}

absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(
    const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream,
    MatrixRanks* ranks) {
  EISBACH_RETURN_IF_ERROR(Validate(config, buffer.compute_dtype()));
  EISBACH_ASSIGN_OR_RETURN(const Entry* entry, Find(config.name));
  return entry->make(config, buffer, stream, ranks);
}

}  // namespace eisbach::optim
