#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <string_view>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "core/atomic_file.h"
#include "core/components.h"
#include "core/cpu_quota.h"
#include "core/make_folder.h"

namespace eisbach::bindings {

namespace py = pybind11;

void BindCore(CoreModule& m) {
  m.def("build_info", &Components,
        "What the core was built with and what this CPU has: version, "
        "compiler, matmul, mpi, cpu.");
  m.def(
      "cpu_quota", [] { return LeastCpuQuota(CpuQuotas()); },
      "How many cores' time the process's container allows it; None without "
      "a limit.");
  m.def(
      "write_file_atomically",
      [](const std::filesystem::path& path, const py::bytes& bytes) {
        const std::string_view content = bytes;
        WithoutGil([&] {
          Unwrap(WriteFileAtomically(path.string(),
                                     {content.data(), content.size()}));
        });
      },
      py::arg("path"), py::arg("bytes"),
      "Makes `bytes` the content of a file, durable when this "
      "returns: readers see the old or the new, whole, and so does a machine "
      "after a power cut. Of mode 0640 less the umask; a link of that name is "
      "replaced, not followed. OSError names the path.");
  m.def(
      "make_folders",
      [](const std::filesystem::path& path) {
        WithoutGil([&] { Unwrap(MakeFolders(path.string())); });
      },
      py::arg("path"),
      "Makes a folder and those above it, of mode 0750 less the umask; one "
      "that is there stays as it is. OSError names the folder.");
}

}  // namespace eisbach::bindings
