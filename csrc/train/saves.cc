#include "train/saves.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::train {

absl::Status Saves::Prepare(const checkpoint::SaverConfig& config) {
  if (busy()) {
    return absl::FailedPreconditionError("a checkpoint is being written");
  }
  saver_.reset();  // before there is memory for another
  EISBACH_ASSIGN_OR_RETURN(
      saver_, checkpoint::Saver::Make(update_.buffer(), update_.optimizer(),
                                      update_.context(), config));
  return absl::OkStatus();
}

absl::Status Saves::Begin(const SaveText& text) {
  if (saver_ == nullptr) EISBACH_RETURN_IF_ERROR(Prepare({}));
  EISBACH_ASSIGN_OR_RETURN(const auto loss_scale, update_.ReadLossScale());
  EISBACH_ASSIGN_OR_RETURN(auto history, update_.ReadHistory());
  EISBACH_RETURN_IF_ERROR(saver_->Begin({.root = text.root,
                                         .step = update_.step(),
                                         .config = text.config,
                                         .state = text.state,
                                         .loss_scale = loss_scale,
                                         .history = std::move(history),
                                         .parent = update_.checkpoint()}));
  since_ = update_.step();
  return absl::OkStatus();
}

std::optional<checkpoint::SaveOutcome> Saves::Finish() {
  return busy() ? Ended(saver_->Finish()) : std::nullopt;
}

void Saves::BeforeStep() {
  if (saver_ != nullptr && saver_->ready()) {
    update_.requests().Ask(Request::kAdvance);
  }
}

std::optional<checkpoint::SaveOutcome> Saves::AfterStep(int64_t step,
                                                        int ready) {
  if (!busy() || step <= since_ || ready < update_.context().world().size()) {
    return std::nullopt;
  }
  since_ = update_.step();
  return Ended(saver_->Advance());
}

std::optional<checkpoint::SaveOutcome> Saves::Ended(
    std::optional<checkpoint::SaveOutcome> outcome) {
  if (outcome && outcome->status.ok()) update_.set_checkpoint(outcome->id);
  return outcome;
}

}  // namespace eisbach::train
