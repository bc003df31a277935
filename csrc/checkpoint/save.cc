#include "checkpoint/save.h"

#include <memory>
#include <utility>

#include "core/status_macros.h"

namespace eisbach::checkpoint {

absl::StatusOr<SaveOutcome> Save(const SaveRequest& request,
                                 const FlatBuffer& buffer,
                                 const optim::Optimizer& optimizer,
                                 const parallel::ParallelContext& context) {
  EISBACH_ASSIGN_OR_RETURN(const std::unique_ptr<Saver> saver,
                           Saver::Make(buffer, optimizer, context, {}));
  EISBACH_RETURN_IF_ERROR(saver->Begin(request));
  SaveOutcome outcome = *saver->Finish();
  EISBACH_RETURN_IF_ERROR(outcome.status);
  return outcome;
}

}  // namespace eisbach::checkpoint
