#include "optim/muon.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "ops/muon.h"
#include "ops/optimizer.h"
#include "optim/adamw.h"
#include "optim/newton_schulz.h"

namespace eisbach::optim {
namespace {

constexpr absl::string_view kOriginal = "original";
constexpr absl::string_view kMatchRms = "match_rms_adamw";

float ScaleOf(absl::string_view name, const Shape& shape) {
  const double rows = static_cast<double>(shape[0]);
  const double columns = static_cast<double>(shape[1]);
  return static_cast<float>(name == kOriginal
                                ? std::sqrt(std::max(1.0, rows / columns))
                                : 0.2 * std::sqrt(std::max(rows, columns)));
}

// The rows of a parameter that hold `slice`, as they lie.
absl::StatusOr<Tensor> SliceOf(const ParamSpec& spec, const LogicalSlice& slice,
                               const Tensor& whole) {
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor flat,
      whole.Narrow(0, SliceOffset(spec, slice), SliceElements(slice)));
  return flat.View(slice.extent);
}

// Where a slice lies in its logical matrix.
absl::StatusOr<Tensor> BoxOf(const Tensor& matrix, const LogicalSlice& slice) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor rows,
                           matrix.Narrow(0, slice.start[0], slice.extent[0]));
  return rows.Narrow(1, slice.start[1], slice.extent[1]);
}

}  // namespace

absl::Status Muon::Validate(const OptimizerConfig& config, DType compute) {
  OptimizerConfig rest = config;
  rest.stochastic_rounding = false;
  EISBACH_RETURN_IF_ERROR(AdamW::Validate(rest, compute));
  if (config.stochastic_rounding) {
    return absl::InvalidArgumentError(
        "stochastic rounding is of weights that AdamW trains alone, not of "
        "optimizer.name=muon (optimizer.stochastic_rounding)");
  }
  if (!(config.momentum >= 0 && config.momentum < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("momentum=", config.momentum,
                     " is outside [0, 1) (optimizer.momentum)"));
  }
  if (config.newton_schulz_steps < 1 || config.newton_schulz_steps > 100) {
    return absl::InvalidArgumentError(absl::StrCat(
        "newton_schulz_steps=", config.newton_schulz_steps,
        " is outside [1, 100] (optimizer.newton_schulz_steps); 5 are usual"));
  }
  if (config.matrix_scale != kOriginal && config.matrix_scale != kMatchRms) {
    return absl::InvalidArgumentError(absl::StrCat(
        "matrix_scale=\"", config.matrix_scale, "\" is not one of ", kOriginal,
        ", ", kMatchRms, " (optimizer.matrix_scale)"));
  }
  if (!(config.adamw_rate_factor > 0)) {
    return absl::InvalidArgumentError(
        "the learning rate of what AdamW trains is not above 0 "
        "(optimizer.adamw_lr)");
  }
  return CheckFitsF32("adamw_lr / lr", config.adamw_rate_factor,
                      "optimizer.adamw_lr");
}

absl::StatusOr<std::unique_ptr<Optimizer>> Muon::Make(
    const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream,
    MatrixRanks* ranks) {
  const DType dtype =
      buffer.compute_dtype() == DType::kBF16 ? DType::kBF16 : DType::kF32;
  std::unique_ptr<Muon> optimizer(new Muon(config, ranks, dtype));
  EISBACH_RETURN_IF_ERROR(optimizer->Init(
      buffer, {{"m"}, {"v", /*of_matrices=*/false}}, config, stream));
  EISBACH_RETURN_IF_ERROR(optimizer->AddMatrices(buffer));
  return optimizer;
}

absl::Status Muon::AddMatrices(FlatBuffer& buffer) {
  for (const OptimizerState& state : StateTensors()) {
    if (state.name != "m") continue;
    const FlatBucket& bucket = buffer.buckets()[state.bucket];
    for (size_t i = 0; i < bucket.parameters.size(); ++i) {
      const Parameter& parameter = *bucket.parameters[i];
      const ParamSpec& spec = parameter.spec();
      if (!spec.training.as_matrices) continue;
      Item item{.parameter = &parameter, .matrices = MatricesOf(spec)};
      for (const Matrix& matrix : item.matrices) {
        item.flops +=
            NewtonSchulzFlops(matrix.shape, config_.newton_schulz_steps);
      }
      const ElementRange own = parameter.own();
      if (own.elements > 0) {
        const auto cut = [&](const Tensor& flat) {
          return flat.Narrow(0,
                             bucket.offsets[i] + own.begin - bucket.own.begin,
                             own.elements);
        };
        EISBACH_ASSIGN_OR_RETURN(item.data, cut(bucket.weights));
        EISBACH_ASSIGN_OR_RETURN(item.master, cut(bucket.master));
        EISBACH_ASSIGN_OR_RETURN(item.grad, cut(bucket.reduced));
        EISBACH_ASSIGN_OR_RETURN(item.m, cut(state.tensor));
      }
      item.weight_decay = WeightDecayOf(config_, spec.decay, spec.training);
      item.rate_factor = spec.training.rate_factor;
      items_.push_back(std::move(item));
    }
  }
  std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
    return std::tuple(-a.flops, a.parameter->spec().name) <
           std::tuple(-b.flops, b.parameter->spec().name);
  });
  return absl::OkStatus();
}

std::vector<Muon::Matrix> Muon::MatricesOf(const ParamSpec& spec) const {
  std::vector<Matrix> matrices;
  for (const LogicalSlice& slice : spec.slices) {
    auto it = std::find_if(matrices.begin(), matrices.end(),
                           [&](const Matrix& matrix) {
                             return matrix.slices[0]->name == slice.name;
                           });
    if (it == matrices.end()) {
      matrices.push_back(
          {slice.shape, {}, ScaleOf(config_.matrix_scale, slice.shape)});
      it = matrices.end() - 1;
    }
    it->slices.push_back(&slice);
  }
  return matrices;
}

absl::Status Muon::Apply(const StepState& state, Stream& stream) {
  for (const Range& range : ranges()) {
    EISBACH_RETURN_IF_ERROR(ops::AdamW(
        {.master = range.master,
         .grad = range.grad,
         .m = range.state[0],
         .v = range.state[1],
         .data = range.data,
         .step_state = state.values(),
         .beta1 = config_.beta1,
         .beta2 = config_.beta2,
         .eps = static_cast<float>(config_.eps),
         .weight_decay = range.weight_decay,
         .rate_factor =
             range.rate_factor * static_cast<float>(config_.adamw_rate_factor)},
        stream));
  }
  const size_t workers = ranks_ == nullptr ? 1 : ranks_->workers();
  for (size_t first = 0; first < items_.size(); first += workers) {
    EISBACH_RETURN_IF_ERROR(Round(first, state, stream));
  }
  return absl::OkStatus();
}

absl::Status Muon::Round(size_t first, const StepState& state, Stream& stream) {
  Device& device = stream.device();
  const int workers = ranks_ == nullptr ? 1 : ranks_->workers();
  const int worker = ranks_ == nullptr ? 0 : ranks_->worker();
  const absl::Span<const Item> items =
      absl::MakeConstSpan(items_).subspan(first, workers);
  std::vector<MatrixTask> tasks;
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    MatrixTask task{.parameter = item.parameter, .worker = static_cast<int>(i)};
    if (item.m.defined()) {
      EISBACH_ASSIGN_OR_RETURN(
          task.own, Tensor::Empty(item.m.shape(), DType::kF32, device));
      EISBACH_RETURN_IF_ERROR(ops::MuonMomentum({.grad = item.grad,
                                                 .m = item.m,
                                                 .direction = task.own,
                                                 .step_state = state.values(),
                                                 .momentum = config_.momentum,
                                                 .nesterov = config_.nesterov},
                                                stream));
    }
    if (!item.parameter->divided()) {
      task.whole = task.own;
    } else if (task.worker == worker) {
      EISBACH_ASSIGN_OR_RETURN(
          task.whole,
          Tensor::Empty(Shape{item.parameter->spec().shape.elements()},
                        DType::kF32, device));
    }
    tasks.push_back(std::move(task));
  }
  if (ranks_ != nullptr) {
    EISBACH_RETURN_IF_ERROR(ranks_->Gather(tasks, stream));
  }
  if (static_cast<size_t>(worker) < items.size()) {
    EISBACH_RETURN_IF_ERROR(
        Orthogonalize(items[worker], tasks[worker].whole, stream));
  }
  if (ranks_ != nullptr) {
    EISBACH_RETURN_IF_ERROR(ranks_->Return(tasks, stream));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    if (!item.m.defined()) continue;
    EISBACH_RETURN_IF_ERROR(ops::MuonStep({.master = item.master,
                                           .direction = tasks[i].own,
                                           .data = item.data,
                                           .step_state = state.values(),
                                           .weight_decay = item.weight_decay,
                                           .rate_factor = item.rate_factor},
                                          stream));
  }
  return absl::OkStatus();
}

absl::Status Muon::Orthogonalize(const Item& item, const Tensor& whole,
                                 Stream& stream) {
  const ParamSpec& spec = item.parameter->spec();
  for (const Matrix& matrix : item.matrices) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor direction,
                             Assemble(item, matrix, whole, stream));
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor result,
        NewtonSchulz(direction, config_.newton_schulz_steps, dtype_, stream));
    for (const LogicalSlice* slice : matrix.slices) {
      EISBACH_ASSIGN_OR_RETURN(const Tensor box, BoxOf(result, *slice));
      EISBACH_ASSIGN_OR_RETURN(const Tensor mine, SliceOf(spec, *slice, whole));
      EISBACH_RETURN_IF_ERROR(ops::Copy(box, mine, stream));
      EISBACH_RETURN_IF_ERROR(ops::Scale(mine, matrix.scale, stream));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> Muon::Assemble(const Item& item, const Matrix& matrix,
                                      const Tensor& whole, Stream& stream) {
  const ParamSpec& spec = item.parameter->spec();
  if (ranks_ == nullptr || !ranks_->has_parts()) {
    if (matrix.slices.size() == 1 && matrix.slices[0]->extent == matrix.shape) {
      return SliceOf(spec, *matrix.slices[0], whole);
    }
  }
  EISBACH_ASSIGN_OR_RETURN(Tensor put,
                           Tensor::Zeros(matrix.shape, DType::kF32, stream));
  for (const LogicalSlice* slice : matrix.slices) {
    if (!slice->primary) continue;
    EISBACH_ASSIGN_OR_RETURN(const Tensor box, BoxOf(put, *slice));
    EISBACH_ASSIGN_OR_RETURN(const Tensor mine, SliceOf(spec, *slice, whole));
    EISBACH_RETURN_IF_ERROR(ops::Copy(mine, box, stream));
  }
  if (ranks_ != nullptr && ranks_->has_parts()) {
    EISBACH_RETURN_IF_ERROR(ranks_->SumOverParts(put, stream));
  }
  return put;
}

absl::Status Muon::RefreshData(const StepState& state, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(Optimizer::RefreshData(state, stream));
  for (const Item& item : items_) {
    if (!item.m.defined() || item.data.dtype() == DType::kF32) continue;
    EISBACH_RETURN_IF_ERROR(ops::Copy(item.master, item.data, stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::optim
