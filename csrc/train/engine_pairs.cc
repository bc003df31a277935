// What an engine does where rows are pairs of answers.
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"
#include "train/engine.h"

namespace eisbach::train {

absl::Status Engine::ValidatePairs(const EngineConfig& config) {
  if (!config.preference) return absl::OkStatus();
  EISBACH_RETURN_IF_ERROR(ops::Validate(config.preference->rule));
  if (config.terms.any()) {
    return absl::InvalidArgumentError(
        absl::StrCat("z_loss=", config.terms.z_loss,
                     " and label_smoothing=", config.terms.label_smoothing,
                     " are terms of the next token's loss (train.z_loss, "
                     "train.label_smoothing); leave them out, or say "
                     "train.objective=next_token"));
  }
  if (config.preference->stored_reference) return absl::OkStatus();
  const models::Adapter& adapter = config.model.adapter;
  if (adapter.rank > 0 && adapter.saved.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "dpo.reference=base is the model without its adapters, ",
      adapter.rank == 0 ? "and there are none (adapter.rank=0)"
                        : "and adapter.modules_to_save trains tables of it",
      "; say dpo.reference=start"));
}

int Engine::totals() const {
  if (config_.preference) return ops::kPreferenceTotals;
  return config_.terms.any() ? kTermTotals : 1;
}

absl::StatusOr<Tensor> Engine::Reference(const StepInput& input) {
  if (input.reference.defined()) return input.reference;
  const int64_t samples = input.tokens.dim(0);
  EISBACH_ASSIGN_OR_RETURN(Tensor measured,
                           Tensor::Empty(Shape{samples, ops::kPairSums},
                                         DType::kF64, context_.device()));
  nn::ForwardContext context = MakeContext(/*training=*/false);
  // Where it is measured for later it is the model as it is.
  context.adapters = config_.preference->stored_reference;
  EISBACH_RETURN_IF_ERROR(program_->Begin(input, config_.micro_batch,
                                          /*loss_scale=*/1, {}, context,
                                          PairTask{nullptr, measured}));
  EISBACH_RETURN_IF_ERROR(RunForward(samples));
  program_->Release();
  return measured;
}

absl::StatusOr<std::vector<double>> Engine::MeasurePairs(
    const StepInput& input) {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  if (!config_.preference || !config_.preference->stored_reference) {
    return absl::FailedPreconditionError(
        "pairs are measured where they are kept for later "
        "(dpo.reference=start)");
  }
  StepInput unmeasured = input;
  unmeasured.reference = Tensor();
  EISBACH_RETURN_IF_ERROR(CheckInput(unmeasured, /*measures=*/true));
  const int64_t samples = input.tokens.dim(0);
  if (samples == 0 || samples % config_.micro_batch != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pairs are measured in multiples of micro_batch=", config_.micro_batch,
        ", not ", samples, " (train.micro_batch)"));
  }
  EISBACH_ASSIGN_OR_RETURN(Tensor measured, Reference(unmeasured));
  Device& device = context_.device();
  Stream& stream = device.compute_stream();
  if (!model_->IsLast(model_->chunks() - 1)) {
    EISBACH_RETURN_IF_ERROR(
        device.SetZero(measured.raw(), measured.bytes(), stream));
  }
  EISBACH_RETURN_IF_ERROR(
      context_.pipeline().AllReduce(measured, comm::ReduceOp::kSum, stream));
  std::vector<double> host(measured.elements());
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(host.data(), measured.raw(), measured.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return host;
}

absl::Status Engine::CheckPairs(const StepInput& input, bool measures) const {
  if (!input.starts.defined()) {
    return absl::InvalidArgumentError(
        "a step that learns from pairs takes the starts of their documents "
        "(data.documents=pairs)");
  }
  const bool wanted = config_.preference->stored_reference && !measures;
  if (wanted != input.reference.defined()) {
    return absl::InvalidArgumentError(
        wanted ? "a step takes what the reference thinks of its pairs, as "
                 "dpo.reference=start says, and it is not there"
               : "a step takes no reference of its pairs: it is the model "
                 "without its adapters (dpo.reference=base)");
  }
  if (!wanted) return absl::OkStatus();
  return ops::OpCheck("a step", context_.device().compute_stream())
      .Dense("reference", input.reference, DType::kF64,
             Shape{input.tokens.dim(0), ops::kPairSums});
}

}  // namespace eisbach::train
