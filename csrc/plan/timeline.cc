#include "plan/timeline.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/status_macros.h"
#include "parallel/pipeline/action.h"
#include "plan/regular_actions.h"

namespace eisbach::plan {
namespace {

using parallel::ActionKind;

// Of a stage's actions and of what it does beside them, the seconds of
// collectives in which nothing is computed.
struct Exposed {
  std::map<ActionOf, double> share;  // of an action's seconds
  double once = 0;
};

Exposed ExposedOf(const Played& played) {
  Exposed exposed;
  exposed.once = played.busy.communication;
  std::map<ActionOf, std::pair<double, double>> sums;
  for (const PlayedAction& action : LastActions(played)) {
    auto& [communication, seconds] =
        sums[{action.action.letter, action.action.chunk}];
    communication += action.busy.communication;
    seconds += action.seconds;
    exposed.once -= action.busy.communication;
  }
  for (const auto& [kind, sum] : sums) {
    exposed.share[kind] = sum.second > 0 ? sum.first / sum.second : 0;
  }
  return exposed;
}

StreamTimeline StreamsOf(const WorkRecord& record, const Played& played) {
  StreamTimeline timeline;
  // The step before ends what comes first.
  const auto step_end = std::find_if(
      record.work.begin(), record.work.end(),
      [](const Work& work) { return work.kind == Work::Kind::kStepEnd; });
  const size_t first = static_cast<size_t>(step_end - record.work.begin());
  double start = played.step_ends.front();
  for (const PlayedWork& piece : played.work) {
    if (piece.index > first) start = std::min(start, piece.begin);
  }
  for (const PlayedWork& piece : played.work) {
    if (piece.index < first) continue;
    const Work& work = record.work[piece.index];
    StreamSpan span;
    span.name = record.name(work);
    span.stream = work.stream;
    span.begin = piece.begin - start;
    span.end = piece.end - start;
    if (work.kind == Work::Kind::kCollective) {
      span.group = record.group(work);
      span.bytes = work.collective.bytes;
    } else {
      span.flops = work.op.flops;
      span.bytes = work.op.bytes();
    }
    timeline.spans.push_back(std::move(span));
  }
  return timeline;
}

std::vector<StageSpan> SpansOf(const parallel::ActionList& list,
                               const parallel::StageTimeline& run,
                               double transfer, const Exposed& exposed) {
  std::vector<StageSpan> spans;
  for (const parallel::Interval& interval : run.compute) {
    const parallel::Action& action = list[interval.action];
    if (action.kind == ActionKind::kReduce) continue;  // takes no time there
    const auto share =
        exposed.share.find({parallel::Letter(action.kind), action.chunk});
    spans.push_back({.kind = std::string(parallel::Name(action.kind)),
                     .micro_batch = action.microbatch,
                     .chunk = action.chunk,
                     .begin = interval.begin,
                     .end = interval.end,
                     .communication = share == exposed.share.end()
                                          ? 0
                                          : share->second * (interval.end -
                                                             interval.begin)});
  }
  for (const parallel::Interval& interval : run.exchanges) {
    // Without the time in which the partner was waited for.
    spans.push_back({.kind = std::string(parallel::Name(ActionKind::kExchange)),
                     .begin = std::max(interval.begin, interval.end - transfer),
                     .end = interval.end});
  }
  std::stable_sort(
      spans.begin(), spans.end(),
      [](const StageSpan& a, const StageSpan& b) { return a.begin < b.begin; });
  return spans;
}

}  // namespace

absl::StatusOr<Timeline> MakeTimeline(const RecordedStep& step,
                                      const Hardware& hardware,
                                      const PlayOptions& options) {
  EISBACH_ASSIGN_OR_RETURN(const Forecast forecast, step.On(hardware, options));
  const parallel::Schedule& schedule = step.schedule();
  EISBACH_ASSIGN_OR_RETURN(const parallel::Simulation simulation,
                           parallel::Simulate(schedule, forecast.times));
  PlayOptions each = options;
  each.each = true;
  Timeline timeline;
  std::vector<Exposed> exposed;
  for (const WorkRecord& record : step.records()) {
    const Played played = Play(record, step.mesh(), hardware, each);
    exposed.push_back(ExposedOf(played));
    timeline.streams.push_back(StreamsOf(record, played));
    timeline.streams.back().micro_batches = step.recorded();
  }
  timeline.chunks = schedule.shape.chunks;
  timeline.shown = schedule.shape.microbatches;
  timeline.micro_batches = step.micro_batches();
  timeline.step_seconds = forecast.seconds;
  timeline.seconds = simulation.seconds;
  for (int s = 0; s < schedule.shape.stages; ++s) {
    const int record = step.record_of(s);
    timeline.streams[record].stages.push_back(s);
    std::vector<StageSpan> spans =
        SpansOf(schedule.stages[s], simulation.stages[s],
                forecast.times.transfer, exposed[record]);
    const double once = forecast.stages[s].once;
    const double end = simulation.seconds + once;
    spans.push_back(
        {.kind = "once",
         .begin = simulation.seconds,
         .end = end,
         .communication = std::clamp(exposed[record].once, 0.0, once)});
    timeline.seconds = std::max(timeline.seconds, end);
    timeline.stages.push_back(std::move(spans));
  }
  return timeline;
}

}  // namespace eisbach::plan
