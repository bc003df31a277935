#include "parallel/pipeline/schedule.h"

#include <map>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/check.h"
#include "core/status_macros.h"

namespace eisbach::parallel {
namespace {

using Registry = std::map<std::string, ScheduleFunction, std::less<>>;

Registry& GetRegistry() {
  static Registry* registry = new Registry;
  return *registry;
}

absl::Status CheckAtLeastOne(absl::string_view what, int value) {
  if (value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a pipeline schedule needs at least 1 of ", what, ", not ", value));
}

}  // namespace

bool RegisterSchedule(absl::string_view name, ScheduleFunction function) {
  const bool added = GetRegistry().emplace(std::string(name), function).second;
  EISBACH_CHECK(added);
  return added;
}

std::vector<std::string> ScheduleNames() {
  std::vector<std::string> names;
  for (const auto& [name, function] : GetRegistry()) names.push_back(name);
  return names;
}

absl::StatusOr<Schedule> MakeSchedule(absl::string_view name, int stages,
                                      int chunks, int microbatches) {
  const auto found = GetRegistry().find(std::string(name));
  if (found == GetRegistry().end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "schedule \"", name, "\" is not one of ",
        absl::StrJoin(ScheduleNames(), ", "), " (parallel.schedule)"));
  }
  EISBACH_RETURN_IF_ERROR(CheckAtLeastOne("stages", stages));
  EISBACH_RETURN_IF_ERROR(CheckAtLeastOne("chunks", chunks));
  EISBACH_RETURN_IF_ERROR(CheckAtLeastOne("micro-batches", microbatches));
  Schedule schedule{std::string(name), {stages, chunks, microbatches}, {}};
  for (int stage = 0; stage < stages; ++stage) {
    EISBACH_ASSIGN_OR_RETURN(ActionList list,
                             found->second(schedule.shape, stage));
    schedule.stages.push_back(std::move(list));
  }
  return schedule;
}

std::string ToString(const Schedule& schedule) {
  std::string text;
  for (size_t stage = 0; stage < schedule.stages.size(); ++stage) {
    absl::StrAppend(&text, "stage ", stage, ":");
    for (const Action& action : schedule.stages[stage]) {
      absl::StrAppend(&text, " ", ToString(action));
    }
    absl::StrAppend(&text, "\n");
  }
  return text;
}

}  // namespace eisbach::parallel
