#include "bindings/update_steps.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/load.h"
#include "checkpoint/saver.h"
#include "core/status_macros.h"

namespace eisbach::bindings {

absl::StatusOr<std::string> SaveSteps(train::Saves& saves,
                                      const std::filesystem::path& root,
                                      const JsonText& config,
                                      const JsonText& state) {
  EISBACH_RETURN_IF_ERROR(
      saves.Begin({root.string(), config.text, state.text}));
  const checkpoint::SaveOutcome outcome = *saves.Finish();
  EISBACH_RETURN_IF_ERROR(outcome.status);
  return outcome.path;
}

absl::StatusOr<std::string> LoadSteps(train::Update& update,
                                      const std::filesystem::path& path,
                                      const JsonText& config) {
  EISBACH_RETURN_IF_ERROR(update.WaitForWeights());
  EISBACH_ASSIGN_OR_RETURN(
      checkpoint::LoadResult loaded,
      checkpoint::Load(path.string(), config.text, update.buffer(),
                       update.optimizer(), update.context()));
  EISBACH_RETURN_IF_ERROR(
      update.Resume(loaded.step, loaded.loss_scale, loaded.history));
  update.set_checkpoint(loaded.id);
  return std::move(loaded.state);
}

absl::Status SetSteps(train::Update& update, const char* name, int64_t step) {
  if (step < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, "=", step, " is below 0"));
  }
  update.set_step(step);
  return absl::OkStatus();
}

}  // namespace eisbach::bindings
