#include <optional>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "plan/ranking.h"
#include "plan/run_cost.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::RunConditions;
using plan::RunCost;

void BindRunCost(CoreModule& m) {
  Class<RunConditions>(m, "RunConditions",
                       "What a whole run is like beside its steps.")
      .def(py::init([](int64_t steps, double save_stall, double save,
                       double restart, double grid) {
             return RunConditions{.steps = steps,
                                  .save_stall = save_stall,
                                  .save = save,
                                  .restart = restart,
                                  .grid = grid};
           }),
           py::kw_only(), py::arg("steps"), py::arg("save_stall") = 1.0,
           py::arg("save") = 60.0, py::arg("restart") = 300.0,
           py::arg("grid") = 0.0,
           "Seconds that training stands still for a checkpoint, until it is "
           "complete, and from a fault to the next step; kg of CO2 for a kWh.")
      .def_readonly("steps", &RunConditions::steps)
      .def_readonly("save_stall", &RunConditions::save_stall)
      .def_readonly("save", &RunConditions::save)
      .def_readonly("restart", &RunConditions::restart)
      .def_readonly("grid", &RunConditions::grid);
  Class<RunCost>(m, "RunCost", "What a whole run takes.")
      .def_readonly("hours_between_failures", &RunCost::hours_between_failures,
                    "Of the job; 0: unknown.")
      .def_readonly("save_every", &RunCost::save_every,
                    "Seconds between checkpoints that lose least.")
      .def_readonly("useful", &RunCost::useful,
                    "Share of the time that trains what lasts.")
      .def_readonly("hours", &RunCost::hours, "From start to end.")
      .def_property_readonly("ends", &RunCost::ends,
                             "Whether it does; else `hours` is infinite.")
      .def_readonly("device_hours", &RunCost::device_hours)
      .def_readonly("watts", &RunCost::watts, "Of a device, on average.")
      .def_readonly("megawatt_hours", &RunCost::megawatt_hours, "Of the site.")
      .def_readonly("co2_tonnes", &RunCost::co2_tonnes);
  m.def(
      "cost_of_run",
      [](const plan::Forecast& step, const plan::Hardware& hardware,
         const RunConditions& conditions, int64_t devices,
         std::optional<double> seconds) {
        plan::StepUse use = plan::UseOf(step);
        if (seconds) use = use * (*seconds / step.seconds);
        return plan::CostOn(devices, use, {.run = conditions}, hardware);
      },
      py::arg("step"), py::arg("hardware"), py::arg("conditions"),
      py::kw_only(), py::arg("devices"), py::arg("seconds") = py::none(),
      "What a run of such steps takes on so many devices that fail now and "
      "then; `seconds`: of a step, if not what is foretold.");
  m.def("why_it_never_ends", &plan::WhyItNeverEnds, py::arg("cost"),
        py::arg("conditions"),
        "Why a run never ends: how often it fails, and what that takes.");
  m.def(
      "step_range",
      [](double seconds, const plan::Hardware& hardware) {
        const plan::Range range = plan::StepRange(seconds, hardware);
        return std::make_pair(range.low, range.high);
      },
      py::arg("seconds"), py::arg("hardware"),
      "From what to what a step may take of which so many seconds are "
      "foretold: nine of ten are inside.");
}

}  // namespace eisbach::bindings
