#include "parallel/pipeline/schedule.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/check.h"
#include "core/status_macros.h"
#include "parallel/pipeline/place_exchanges.h"

namespace eisbach::parallel {
namespace {

struct Entry {
  OrderFunction order;
  ChunkLimits chunks;
  Placement placement;
};
constexpr int64_t kMostForwards = 1 << 22;  // of all stages in a step
using Registry = std::map<std::string, Entry, std::less<>>;

Registry& GetRegistry() {
  static Registry* registry = new Registry;
  return *registry;
}

absl::Status CheckAtLeastOne(absl::string_view what, int value) {
  if (value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a pipeline schedule needs at least 1 of ", what, ", not ", value));
}

absl::StatusOr<Entry> Find(absl::string_view name) {
  const auto found = GetRegistry().find(name);
  if (found != GetRegistry().end()) return found->second;
  return absl::InvalidArgumentError(absl::StrCat(
      "schedule \"", name, "\" is not one of ",
      absl::StrJoin(ScheduleNames(), ", "), " (parallel.schedule)"));
}

absl::Status CheckChunks(absl::string_view name, const ChunkLimits& limits,
                         int chunks) {
  EISBACH_RETURN_IF_ERROR(CheckAtLeastOne("chunks", chunks));
  const int nearest = std::clamp(chunks, limits.least, limits.most);
  if (chunks == nearest) return absl::OkStatus();
  const std::string range = limits.least == limits.most
                                ? absl::StrCat(limits.least)
                                : absl::StrCat("at least ", limits.least);
  return absl::InvalidArgumentError(
      absl::StrCat("schedule \"", name, "\" runs ", range, " model chunk",
                   limits.least == 1 ? "" : "s", " a stage, not ", chunks,
                   " (parallel.chunks); nearest that works: ", nearest));
}

// In double, which no sizes overflow.
absl::Status CheckForwards(const ScheduleShape& shape) {
  const double forwards =
      1.0 * shape.stages * shape.chunks * shape.microbatches;
  if (forwards <= kMostForwards) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a step of ", shape.stages, " stages x ", shape.chunks, " chunks x ",
      shape.microbatches, " micro-batches has more than ", kMostForwards,
      " forwards, which nobody lists; take a smaller train.global_batch, or a "
      "larger train.micro_batch"));
}

}  // namespace

bool RegisterSchedule(absl::string_view name, OrderFunction order,
                      ChunkLimits chunks, Placement placement) {
  const bool added =
      GetRegistry()
          .emplace(std::string(name), Entry{order, chunks, placement})
          .second;
  EISBACH_CHECK(added);
  return added;
}

std::vector<std::string> ScheduleNames() {
  std::vector<std::string> names;
  for (const auto& [name, entry] : GetRegistry()) names.push_back(name);
  return names;
}

absl::StatusOr<ChunkLimits> ChunksOf(absl::string_view name) {
  EISBACH_ASSIGN_OR_RETURN(const Entry entry, Find(name));
  return entry.chunks;
}

absl::StatusOr<ScheduleShape> ShapeOfSchedule(absl::string_view name,
                                              int stages, int chunks,
                                              int microbatches) {
  EISBACH_ASSIGN_OR_RETURN(const Entry entry, Find(name));
  EISBACH_RETURN_IF_ERROR(CheckAtLeastOne("stages", stages));
  EISBACH_RETURN_IF_ERROR(CheckChunks(name, entry.chunks, chunks));
  EISBACH_RETURN_IF_ERROR(CheckAtLeastOne("micro-batches", microbatches));
  const ScheduleShape shape{stages, chunks, microbatches, entry.placement};
  EISBACH_RETURN_IF_ERROR(CheckForwards(shape));
  return shape;
}

absl::StatusOr<ActionList> OrderOfStage(absl::string_view name,
                                        const ScheduleShape& shape, int stage) {
  EISBACH_ASSIGN_OR_RETURN(const Entry entry, Find(name));
  return entry.order(shape, stage);
}

absl::StatusOr<Schedule> MakeSchedule(absl::string_view name, int stages,
                                      int chunks, int microbatches) {
  EISBACH_ASSIGN_OR_RETURN(const Entry entry, Find(name));
  EISBACH_ASSIGN_OR_RETURN(const ScheduleShape shape,
                           ShapeOfSchedule(name, stages, chunks, microbatches));
  Schedule schedule{std::string(name), shape, {}};
  std::vector<ActionList> orders;
  for (int stage = 0; stage < stages; ++stage) {
    orders.push_back(entry.order(schedule.shape, stage));
  }
  EISBACH_ASSIGN_OR_RETURN(schedule.stages,
                           PlaceExchanges(schedule.shape, std::move(orders)));
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
