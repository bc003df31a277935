#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "train/results.h"
#include "train/spikes.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using train::StepResult;

// The member of what a result may not have; None where it does not.
template <typename Part, typename Value>
auto IfThere(std::optional<Part> StepResult::*part, Value Part::*member) {
  return [part, member](const StepResult& r) -> std::optional<Value> {
    if (!(r.*part)) return std::nullopt;
    return *(r.*part).*member;
  };
}

void BindSaveOutcome(CoreModule& m) {
  using checkpoint::SaveOutcome;
  Class<SaveOutcome>(m, "SaveOutcome", "How a checkpoint ended.")
      .def_readonly("step", &SaveOutcome::step, "Steps done.")
      .def_property_readonly(
          "error",
          [](const SaveOutcome& o) { return std::string(o.status.message()); },
          "Why there is none; empty where there is.")
      .def(
          "check", [](const SaveOutcome& o) { return o.status; },
          "Raises the error, if there is one.")
      .def_readonly("path", &SaveOutcome::path, "Of the checkpoint.")
      .def_readonly("bytes", &SaveOutcome::bytes, "Of its files.")
      .def_readonly("seconds", &SaveOutcome::seconds,
                    "From its beginning until it was complete on the disk.")
      .def_readonly("stall_seconds", &SaveOutcome::stall_seconds,
                    "In which this rank did nothing else.")
      .def_readonly("write_seconds", &SaveOutcome::write_seconds,
                    "Of the rank that wrote longest.");
}

}  // namespace

void BindResults(CoreModule& m) {
  BindSaveOutcome(m);
  Class<StepResult>(m, "StepResult", "What came out of a step.")
      .def_readonly("step", &StepResult::step, "Counted from 1.")
      .def_readonly("loss", &StepResult::loss,
                    "Mean over the tokens of the global batch that count.")
      .def_readonly("grad_norm", &StepResult::grad_norm, "Before clipping.")
      .def_readonly("learning_rate", &StepResult::learning_rate,
                    "Of this step.")
      .def_readonly("loss_scale", &StepResult::loss_scale,
                    "What the loss was multiplied by in backward; 1 but in "
                    "f16.")
      .def_readonly("skipped", &StepResult::skipped,
                    "The weights are as before: the step was bad, or a "
                    "gradient overflowed at this loss scale, which halves.")
      .def_property_readonly(
          "cause",
          [](const StepResult& r) { return std::string(train::CauseOf(r)); },
          "Why it was skipped: `loss_not_finite`, `grad_norm_not_finite`, "
          "`loss_spike`, `grad_norm_spike`, `gradient_overflow`; empty for "
          "others.")
      .def_property_readonly(
          "limit", [](const StepResult& r) { return r.spike.limit; },
          "Of a spike: what it is above.")
      .def_property_readonly(
          "median", [](const StepResult& r) { return r.spike.median; },
          "Of a spike: of the good steps before it.")
      .def_readonly("why", &StepResult::why,
                    "What is wrong with a step that was skipped, or computed "
                    "twice, in words; empty for others.")
      .def_readonly("transient_fault", &StepResult::transient_fault,
                    "It was bad at first and is good now: a fault of the "
                    "machine.")
      .def_readonly("asked_to_stop", &StepResult::asked_to_stop,
                    "Whether a rank had asked before it began this step; the "
                    "same on all ranks.")
      .def_readonly("asked_to_save", &StepResult::asked_to_save,
                    "As asked_to_stop.")
      .def_readonly("saved", &StepResult::saved,
                    "How a checkpoint ended that was begun before this step, "
                    "where it did: a SaveOutcome, the same on all ranks.")
      .def_readonly("stragglers", &StepResult::stragglers,
                    "On rank 0, after watch_stragglers: who is late, the worst "
                    "first.")
      .def_readonly("straggler_news", &StepResult::straggler_news,
                    "Lines on which rank or link has become slow, or is so no "
                    "more.")
      .def_property_readonly(
          "slow_link",
          [](const StepResult& r) -> std::optional<std::pair<int, int>> {
            if (!r.slow_link) return std::nullopt;
            return std::pair(r.slow_link->a, r.slow_link->b);
          },
          "On rank 0, after watch_stragglers: the ranks whose link is slow and "
          "holds steps up; None where there is none.")
      .def_property_readonly(
          "slow_link_seconds",
          IfThere(&StepResult::slow_link, &train::SlowLink::excess),
          "By which it holds each step up.")
      .def_readonly("counted", &StepResult::counted,
                    "Tokens of the global batch that count: those whose target "
                    "is not below 0; of pairs, these.")
      .def_readonly("rewards", &StepResult::rewards,
                    "What was learned of pairs: Rewards; None of others.")
      .def_property_readonly(
          "z_loss", IfThere(&StepResult::added, &train::AddedLosses::z_loss),
          "What the loss had of it beside `loss`; None without such terms.")
      .def_property_readonly(
          "label_smoothing_loss",
          IfThere(&StepResult::added, &train::AddedLosses::label_smoothing),
          "As z_loss.")
      .def("__repr__", [](const StepResult& r) {
        return absl::StrCat("StepResult(step=", r.step, ", loss=", r.loss,
                            ", grad_norm=", r.grad_norm,
                            ", learning_rate=", r.learning_rate,
                            ", loss_scale=", r.loss_scale,
                            ", skipped=", r.skipped ? "True" : "False",
                            ", counted=", r.counted, ")");
      });
}

}  // namespace eisbach::bindings
