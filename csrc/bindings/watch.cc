#include "watch/watch.h"

#include <memory>
#include <optional>
#include <string>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "checkpoint/agree.h"
#include "core/status_macros.h"
#include "watch/stragglers.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using comm::Phase;
using comm::PhaseScope;
using comm::World;
using watch::Watch;

absl::StatusOr<Phase> ParsePhase(const std::string& name) {
  std::string known;
  for (Phase phase : {Phase::kPrepare, Phase::kLoad, Phase::kValidation,
                      Phase::kSave, Phase::kExport}) {
    if (comm::Name(phase) == name) return phase;
    absl::StrAppend(&known, known.empty() ? "" : ", ", comm::Name(phase));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("phase=", name, " is none of ", known));
}

// `with world.phase("export"):`
class PhaseContext {
 public:
  PhaseContext(std::shared_ptr<World> world, Phase phase)
      : world_(std::move(world)), phase_(phase) {}
  void Enter() { scope_.emplace(world_->communicator().activity(), phase_); }
  void Exit() { scope_.reset(); }

 private:
  const std::shared_ptr<World> world_;
  const Phase phase_;
  std::optional<PhaseScope> scope_;
};

absl::StatusOr<std::shared_ptr<Watch>> StartWatch(
    const std::shared_ptr<World>& world, double hang_seconds,
    const std::string& interface, int traceback_fd, double circle_seconds,
    const std::string& launcher_file) {
  if (!(hang_seconds > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("hang_seconds=", hang_seconds, " must be above 0"));
  }
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Watch> started,
                           Watch::Start(*world,
                                        {.hang_seconds = hang_seconds,
                                         .circle_seconds = circle_seconds,
                                         .interface = interface,
                                         .traceback_fd = traceback_fd,
                                         .launcher_file = launcher_file},
                                        [&](const std::string& mine) {
                                          return checkpoint::GatherText(
                                              mine, world->communicator(),
                                              world->device().compute_stream());
                                        }));
  std::shared_ptr<Watch> watch = std::move(started);
  world->Keep(watch);
  return watch;
}

void BindStraggler(CoreModule& m) {
  using watch::Straggler;
  Class<Straggler>(m, "Straggler", "A rank that holds the others up.")
      .def_readonly("rank", &Straggler::rank, "Which.")
      .def_property_readonly(
          "part", [](const Straggler& s) { return std::string(Name(s.part)); },
          "In which it loses most: host, data, forward, backward, reduction or "
          "optimizer.")
      .def_readonly("since", &Straggler::since, "The first slow step.")
      .def_readonly("excess", &Straggler::excess,
                    "Seconds of a step above what is expected of it.");
}

}  // namespace

void BindWatch(CoreModule& m) {
  BindStraggler(m);
  Class<PhaseContext>(m, "Phase", "A context in which a rank is in a phase.")
      .def("__enter__", [](PhaseContext& phase) { phase.Enter(); })
      .def("__exit__",
           [](PhaseContext& phase, const py::args&) { phase.Exit(); });
  m.def(
      "phase",
      [](std::shared_ptr<World> world, const std::string& name) {
        return std::make_unique<PhaseContext>(std::move(world),
                                              Unwrap(ParsePhase(name)));
      },
      py::arg("world"), py::arg("name"),
      "What this rank is about in a `with`: prepare, load, validation, save or "
      "export. A watch waits longer for it.");
  m.def(
      "enter_phase",
      [](World& world, const std::string& name) {
        const Phase phase = Unwrap(ParsePhase(name));
        comm::Activity* activity = world.communicator().activity();
        if (activity != nullptr) activity->Enter(phase);
      },
      py::arg("world"), py::arg("name"),
      "What this rank is about from now on: as `phase`, for good.");
  Class<Watch, std::shared_ptr<Watch>>(
      m, "Watch",
      "Ends a job that hangs, and tells which rank is late and what all do.")
      .def("write_to", &Watch::WriteTo, py::arg("path"),
           "Appends reports to a file as JSON lines, beside what standard "
           "error gets.");
  m.def("watch", &StartWatch, py::arg("world"), py::arg("hang_seconds"),
        py::arg("interface") = "", py::arg("traceback_fd") = -1,
        py::arg("circle_seconds") = 0.0, py::arg("launcher_file") = "",
        py::call_guard<py::gil_scoped_release>(),
        "Watches until the world ends whether any rank that others wait for "
        "makes progress. The stack that is told is that of the calling thread; "
        "`traceback_fd` is a file that a handler of SIGURG writes its frames "
        "to. Ranks that wait for one another in calls that differ are given "
        "`circle_seconds`, where that is not 0. `launcher_file` gets a line "
        "`hung` when mpirun has to be killed because a host is lost. "
        "Collective.");
  m.def("hang_found", &watch::HangFound,
        "Whether a watch has found a hang, and this process is about to be "
        "ended.");
  m.def("rank_gone", &watch::RankGone,
        "Whether a watch sees that a rank of this host has gone.");
  m.attr("HANG_STATUS") = watch::kHangStatus;
}

}  // namespace eisbach::bindings
