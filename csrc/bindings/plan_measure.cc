#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "comm/world.h"
#include "plan/calibrate.h"
#include "plan/measure.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::CollectiveSample;
using plan::Measurements;
using plan::OpSample;
using plan::StepSample;

void BindMeasure(CoreModule& m) {
  constexpr auto kUngiled = py::call_guard<py::gil_scoped_release>();
  Class<OpSample>(m, "OpSample", "An op and what it took here.")
      .def_readonly("name", &OpSample::name)
      .def_property_readonly("flops",
                             [](const OpSample& s) { return s.cost.flops; })
      .def_property_readonly(
          "bytes", [](const OpSample& s) { return s.cost.bytes(); },
          "Read and written.")
      .def_property_readonly(
          "shape",
          [](const OpSample& s) {
            return py::make_tuple(s.cost.rows, s.cost.columns, s.cost.inner);
          },
          "Of a product of [rows, inner] x [inner, columns].")
      .def_property_readonly("dtype",
                             [](const OpSample& s) { return s.cost.dtype; })
      .def_readonly("seconds", &OpSample::seconds);
  Class<StepSample>(m, "StepSample", "The ops of a step in their order.")
      .def_readonly("model", &StepSample::model,
                    "What tells its model and batch from others.")
      .def_readonly("ops", &StepSample::ops)
      .def_readonly("moves", &StepSample::moves,
                    "Its copies and zeros, without their seconds.")
      .def_readonly("rest", &StepSample::rest,
                    "Seconds of the step in which it ran no op.")
      .def_readonly("spread", &StepSample::spread,
                    "Of the median step, by how much the slowest was slower.");
  Class<CollectiveSample>(m, "CollectiveSample",
                          "A collective of all ranks and what it took here.")
      .def_readonly("name", &CollectiveSample::name)
      .def_readonly("bytes", &CollectiveSample::bytes)
      .def_readonly("ranks", &CollectiveSample::ranks)
      .def_readonly("shared", &CollectiveSample::shared,
                    "Whether its tensors lie where other ranks reach them.")
      .def_readonly("seconds", &CollectiveSample::seconds);
  m.def("measure_step", &plan::MeasureStep, py::arg("world"), py::arg("config"),
        kUngiled,
        "Runs steps of a configuration on each rank's CPU, as if it had no "
        "others, while all others do the same. Collective.");
  m.def("measure_moves", &plan::MeasureMoves, py::arg("world"), kUngiled,
        "Measures copies and zeros, on all ranks at once. Collective.");
  m.def("measure_collectives", &plan::MeasureCollectives, py::arg("world"),
        kUngiled,
        "Measures collectives of all ranks, by their sizes. Collective.");
  m.def(
      "fit_hardware",
      [](std::string name, std::vector<StepSample> steps,
         std::vector<OpSample> moves, std::vector<CollectiveSample> collectives,
         int ranks, double memory_bytes) {
        return plan::FitHardware(
            Measurements{std::move(steps), std::move(moves),
                         std::move(collectives), ranks, memory_bytes},
            std::move(name));
      },
      py::arg("name"), py::kw_only(), py::arg("steps"), py::arg("moves"),
      py::arg("collectives"), py::arg("ranks"), py::arg("memory_bytes"),
      "The machine on which ops and collectives take what was measured on so "
      "many ranks at once, each with so much memory.");
}

}  // namespace eisbach::bindings
