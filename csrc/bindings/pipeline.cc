#include "bindings/pipeline.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bindings/casters.h"
#include "core/status_macros.h"
#include "parallel/pipeline/simulate.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;

// A forward or backward, and when it ran.
struct TimedAction {
  std::string kind;
  int microbatch;
  int chunk;
  double begin;
  double end;
};

struct TimedSchedule {
  parallel::Schedule schedule;
  parallel::Simulation run;

  std::vector<std::vector<TimedAction>> Actions() const {
    std::vector<std::vector<TimedAction>> stages;
    for (size_t s = 0; s < run.stages.size(); ++s) {
      std::vector<TimedAction>& actions = stages.emplace_back();
      for (const parallel::Interval& interval : run.stages[s].compute) {
        const parallel::Action& action = schedule.stages[s][interval.action];
        if (action.kind == parallel::ActionKind::kReduce) continue;
        actions.push_back({std::string(parallel::Name(action.kind)),
                           action.microbatch, action.chunk, interval.begin,
                           interval.end});
      }
    }
    return stages;
  }

  std::vector<int> Peaks() const {
    std::vector<int> peaks;
    for (const parallel::StageTimeline& stage : run.stages) {
      peaks.push_back(stage.peak_activations);
    }
    return peaks;
  }
};

absl::StatusOr<TimedSchedule> SimulateSchedule(
    const std::string& name, int stages, int microbatches,
    std::optional<int> chunks, double forward, double backward_input,
    double backward_weight, double transfer,
    const std::optional<std::vector<std::array<double, 4>>>& chunk_times) {
  EISBACH_ASSIGN_OR_RETURN(const parallel::ChunkLimits limits,
                           parallel::ChunksOf(name));
  TimedSchedule timed;
  EISBACH_ASSIGN_OR_RETURN(
      timed.schedule,
      parallel::MakeSchedule(name, stages, chunks.value_or(limits.least),
                             microbatches));
  const parallel::StageTimes whole{forward, backward_input + backward_weight,
                                   backward_input, backward_weight};
  parallel::SimulationTimes times =
      parallel::EqualShares(timed.schedule.shape, whole, transfer);
  if (chunk_times) {
    times.stages.clear();
    for (const auto& [f, b, i, w] : *chunk_times) {
      times.stages.push_back({f, b, i, w});
    }
  }
  EISBACH_ASSIGN_OR_RETURN(timed.run,
                           parallel::Simulate(timed.schedule, times));
  return timed;
}

}  // namespace

void BindPipeline(CoreModule& m) {
  Class<TimedAction>(m, "TimedAction",
                     "A forward or backward, and when it ran.")
      .def_readonly("kind", &TimedAction::kind,
                    "`forward`, `backward`, or its halves `backward_input` and "
                    "`backward_weight`.")
      .def_readonly("microbatch", &TimedAction::microbatch, "From 0.")
      .def_readonly("chunk", &TimedAction::chunk,
                    "Which of the stage's parts of the model, from 0.")
      .def_readonly("begin", &TimedAction::begin)
      .def_readonly("end", &TimedAction::end);
  Class<TimedSchedule>(m, "TimedSchedule",
                       "A pipeline schedule and its run on given times.")
      .def_property_readonly(
          "chunks",
          [](const TimedSchedule& t) { return t.schedule.shape.chunks; },
          "Parts of the model that a stage holds.")
      .def_property_readonly("actions", &TimedSchedule::Actions,
                             "Of each stage, in order; without exchanges and "
                             "reductions.")
      .def_property_readonly("peak_activations", &TimedSchedule::Peaks,
                             "Of each stage: how many micro-batches, counted "
                             "for each chunk, it holds the activations of at "
                             "the most.")
      .def_property_readonly(
          "seconds", [](const TimedSchedule& t) { return t.run.seconds; },
          "Until the last action of all stages is over.")
      .def_property_readonly(
          "bubble",
          [](const TimedSchedule& t) { return t.run.bubble_fraction; },
          "Share of the stages' time that is spent without compute.")
      .def(
          "__str__",
          [](const TimedSchedule& t) { return ToString(t.schedule); },
          "Each stage's list of actions, exchanges included.");
  m.def("schedule_names", &parallel::ScheduleNames,
        "Of the pipeline schedules that there are.");
  m.def("simulate_schedule", &SimulateSchedule, py::arg("name"), py::kw_only(),
        py::arg("stages"), py::arg("microbatches"),
        py::arg("chunks") = std::nullopt, py::arg("forward") = 1.0,
        py::arg("backward_input") = 1.0, py::arg("backward_weight") = 1.0,
        py::arg("transfer") = 0.0, py::arg("chunk_times") = std::nullopt,
        py::call_guard<py::gil_scoped_release>(),
        "Makes a schedule and runs it on times without ranks; without `chunks` "
        "with the fewest that it can have. The times are "
        "those of a micro-batch on a whole stage, all its chunks together; a "
        "transfer's is that of one activation. `chunk_times` stand in for "
        "them: forward, backward and its halves, backward_input and "
        "backward_weight, of each chunk, stage by stage.");
}

}  // namespace eisbach::bindings
