#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "plan/hardware.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::Hardware;
using plan::Link;
using plan::PeakRates;

void BindHardware(CoreModule& m) {
  Class<PeakRates>(m, "PeakRates",
                   "FLOP/s of dense matrix products by the type of their "
                   "operands; 0: none.")
      .def(py::init<>())
      .def_readwrite("f32", &PeakRates::f32)
      .def_readwrite("f16", &PeakRates::f16, "f16 and bf16.")
      .def_readwrite("f8", &PeakRates::f8)
      .def_readwrite("f4", &PeakRates::f4);
  Class<Link>(m, "Link", "A level of a network, as one device sees it.")
      .def(py::init<>())
      .def_readwrite("devices", &Link::devices,
                     "That a domain joins; 0 of what is between domains.")
      .def_readwrite("bandwidth", &Link::bandwidth, "Bytes/s, one way.")
      .def_readwrite("latency", &Link::latency, "Seconds of a message.")
      .def_readwrite("fraction", &Link::fraction,
                     "Of the bandwidth, what large collectives reach.");
  Class<Hardware>(m, "Hardware",
                  "What a training job runs on: properties of a machine and "
                  "coefficients of the cost model.")
      .def(py::init<>())
      .def_readwrite("name", &Hardware::name)
      .def_readwrite("peak", &Hardware::peak)
      .def_readwrite("memory_bytes", &Hardware::memory_bytes)
      .def_readwrite("memory_bandwidth", &Hardware::memory_bandwidth,
                     "Bytes/s.")
      .def_readwrite("matmul_fraction", &Hardware::matmul_fraction,
                     "Of the peak, what the largest products reach.")
      .def_readwrite("units", &Hardware::units,
                     "Tiles of a product that are computed at a time.")
      .def_readwrite("tile_rows", &Hardware::tile_rows)
      .def_readwrite("tile_columns", &Hardware::tile_columns)
      .def_readwrite("half_inner", &Hardware::half_inner,
                     "Inner size at which half of that is reached.")
      .def_readwrite("attention_forward", &Hardware::attention_forward,
                     "Of the peak.")
      .def_readwrite("attention_backward", &Hardware::attention_backward,
                     "Of the peak.")
      .def_readwrite("memory_fraction", &Hardware::memory_fraction,
                     "Of the bandwidth, what ops that move memory reach.")
      .def_readwrite("kernel_gap", &Hardware::kernel_gap,
                     "Seconds that a kernel takes at the least.")
      .def_readwrite("host_launch", &Hardware::host_launch,
                     "Seconds of the host for each, where steps are not "
                     "captured.")
      .def_readwrite("shared_by_collectives", &Hardware::shared_by_collectives,
                     "Of an op's rate, what collectives beside it take.")
      .def_readwrite("domain", &Hardware::domain)
      .def_readwrite("network", &Hardware::network)
      .def_readwrite("idle_watts", &Hardware::idle_watts)
      .def_readwrite("busy_watts", &Hardware::busy_watts)
      .def_readwrite("site_factor", &Hardware::site_factor,
                     "What the site draws for each watt of its computers.")
      .def_readwrite("hours_between_failures",
                     &Hardware::hours_between_failures,
                     "Of one device, such that the job ends; 0: unknown.");
}

}  // namespace eisbach::bindings
