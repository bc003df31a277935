#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "core/components.h"
#include "core/cpu_quota.h"

namespace eisbach::bindings {

namespace py = pybind11;

void BindCore(py::module_& m) {
  m.def("build_info", &Components,
        "What the core was built with and what this CPU has: version, "
        "compiler, matmul, mpi, cpu.");
  m.def(
      "cpu_quota", [] { return LeastCpuQuota(CpuQuotas()); },
      "How many cores' time the process's container allows it; None without "
      "a limit.");
}

}  // namespace eisbach::bindings
