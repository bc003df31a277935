#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "core/components.h"

namespace eisbach::bindings {

namespace py = pybind11;

void BindCore(py::module_& m) {
  m.def("build_info", &Components,
        "What the core was built with and what this CPU has: version, "
        "compiler, matmul, mpi, cpu.");
}

}  // namespace eisbach::bindings
