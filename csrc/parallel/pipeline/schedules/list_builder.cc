#include "parallel/pipeline/schedules/list_builder.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace eisbach::parallel {

absl::Status CheckOneChunk(absl::string_view name, const ScheduleShape& shape) {
  if (shape.chunks == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("schedule \"", name, "\" runs one model chunk a stage, not ",
                   shape.chunks, "; nearest that works: 1"));
}

}  // namespace eisbach::parallel
