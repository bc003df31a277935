#include "device/device.h"

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/device_type.h"
#include "core/threads.h"

namespace eisbach::bindings {

namespace py = pybind11;

absl::StatusOr<DeviceType> ParseDeviceType(absl::string_view name) {
  for (int i = 0; i < kNumDeviceTypes; ++i) {
    const auto type = static_cast<DeviceType>(i);
    if (name == Name(type)) return type;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("device ", name, " is none of cpu, cuda, meta"));
}

void BindDevice(CoreModule& m) {
  Class<AllocatorStats>(m, "MemoryStats",
                        "What a device's allocator has given out.")
      .def_readonly("bytes_in_use", &AllocatorStats::bytes_in_use)
      .def_readonly("peak_bytes_in_use", &AllocatorStats::peak_bytes_in_use)
      .def_readonly("bytes_reserved", &AllocatorStats::bytes_reserved,
                    "Taken from the system.")
      .def_readonly("allocations", &AllocatorStats::allocations,
                    "Requests served.")
      .def_readonly("system_allocations", &AllocatorStats::system_allocations,
                    "Requests that went to the system.");

  Class<TraceTotals>(m, "TraceTotals",
                     "Seconds that a device has spent since it was made.")
      .def_readonly("matmul", &TraceTotals::matmul)
      .def_readonly("attention", &TraceTotals::attention)
      .def_readonly("other_ops", &TraceTotals::other_ops)
      .def_readonly("collectives", &TraceTotals::collectives,
                    "Those of several groups may run at once, behind compute.")
      .def_readonly("waiting", &TraceTotals::waiting,
                    "For communication, with nothing else to do.");

  Class<Device, std::shared_ptr<Device>>(
      m, "Device", "A rank's compute device: its memory and its streams.")
      .def(py::init([](const std::string& type) {
             return Unwrap(MakeDevice(Unwrap(ParseDeviceType(type))));
           }),
           py::arg("type") = "cpu",
           "A device of its own, outside any job: `cpu`, `cuda` or `meta`.")
      .def_property_readonly(
          "type",
          [](const Device& device) { return std::string(Name(device.type())); },
          "`cpu`, `cuda` or `meta`.")
      .def_property_readonly(
          "runs_inline",
          [](Device& device) { return device.compute_stream().runs_inline(); },
          "Whether an op has finished when its call returns: then the host's "
          "clock times it, and submitting steps ahead gains nothing.")
      .def("memory", &Device::memory,
           "What the allocator has given out, in bytes.")
      .def("reset_peak_memory", &Device::ResetPeakMemory,
           "The peak is what is in use now.")
      .def("trim_memory", &Device::TrimMemory,
           "Gives cached memory that nothing lies in back to the system.")
      .def(
          "synchronize",
          [](Device& device) { return device.compute_stream().Synchronize(); },
          py::call_guard<py::gil_scoped_release>(),
          "Waits for all work given to the device.")
      .def(
          "trace_totals",
          [](Device& device) { return device.tracer().totals(); },
          "Where this rank's time has gone so far.")
      .def(
          "start_recording",
          [](Device& device) { device.tracer().StartRecording(); },
          "Keeps every span from now on, until `gather_traces`.")
      .def("__repr__", [](const Device& device) {
        return absl::StrCat("Device('", Name(device.type()), "')");
      });

  m.def(
      "count_devices",
      [](const std::string& type) {
        return CountDevices(Unwrap(ParseDeviceType(type)));
      },
      py::arg("type"),
      "How many devices of a type this process sees, at least 1. RuntimeError "
      "says why there is none.");

  m.def(
      "set_threads",
      [](int threads) {
        if (threads < 1) {
          throw py::value_error(
              absl::StrCat("threads=", threads, " is below 1 (run.threads)"));
        }
        if (const int most = MostComputeThreads(); threads > most) {
          throw py::value_error(absl::StrCat(
              "threads=", threads, " is above ", most,
              ", which is 16 for each core that this process may use; "
              "nearest that works: ",
              most, " (run.threads)"));
        }
        return SetComputeThreads(threads);
      },
      py::arg("threads"),
      "Asks for threads that the calling thread computes with. Gives how many "
      "there are: fewer where OpenMP is limited (OMP_THREAD_LIMIT). ValueError "
      "for more than 16 for each core that the process may use.");
  m.def("threads", &ComputeThreads,
        "How many threads the calling thread computes with.");
}

}  // namespace eisbach::bindings
