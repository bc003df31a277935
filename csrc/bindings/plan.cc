#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "plan/estimate.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::RankMemory;

void BindPlan(CoreModule& m) {
  Class<RankMemory>(m, "RankMemory",
                    "Bytes of a rank's device memory, by what they hold.")
      .def_readonly("parameters", &RankMemory::parameters,
                    "Numbers, not bytes, that this rank holds.")
      .def_readonly("weights", &RankMemory::weights, "In the compute type.")
      .def_readonly("masters", &RankMemory::masters,
                    "f32; 0 where the weights themselves are.")
      .def_readonly("gradients", &RankMemory::gradients)
      .def_readonly("optimizer", &RankMemory::optimizer)
      .def_readonly("activations", &RankMemory::activations,
                    "What a step adds at the moment when it holds most.")
      .def_readonly("other", &RankMemory::other)
      .def_readonly("saving", &RankMemory::saving,
                    "Of host memory, for checkpoints that are written while "
                    "training goes on; not in the peak.")
      .def_property_readonly("peak", &RankMemory::peak, "The sum.");
  m.def("estimate_memory", &plan::EstimateMemory, py::arg("config"),
        py::arg("mesh"), py::arg("rank"),
        py::call_guard<py::gil_scoped_release>(),
        "The memory of tensors that a rank of `mesh` takes to train: one step "
        "of the real Engine on the meta device, where nothing is allocated.");
}

}  // namespace eisbach::bindings
