#include <optional>
#include <string>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "plan/hardware.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::Accuracy;
using plan::Hardware;
using plan::Link;
using plan::PeakRates;

void BindHardware(CoreModule& m) {
  Class<PeakRates>(m, "PeakRates",
                   "FLOP/s of dense matrix products by the type of their "
                   "operands; 0: none.")
      .def(py::init([](double f32, double f16, double f8, double f4) {
             return PeakRates{f32, f16, f8, f4};
           }),
           py::kw_only(), py::arg("f32"), py::arg("f16") = 0.0,
           py::arg("f8") = 0.0, py::arg("f4") = 0.0)
      .def_readonly("f32", &PeakRates::f32)
      .def_readonly("f16", &PeakRates::f16, "f16 and bf16.")
      .def_readonly("f8", &PeakRates::f8)
      .def_readonly("f4", &PeakRates::f4);
  Class<Link>(m, "Link", "A level of a network, as one device sees it.")
      .def(py::init([](double bandwidth, int devices, double latency,
                       double fraction) {
             return Link{devices, bandwidth, latency, fraction};
           }),
           py::kw_only(), py::arg("bandwidth"), py::arg("devices") = 0,
           py::arg("latency") = 0.0, py::arg("fraction") = 1.0,
           "Bytes/s one way; how many devices a domain joins; seconds of a "
           "message; of the bandwidth, what large collectives reach.")
      .def_readonly("devices", &Link::devices)
      .def_readonly("bandwidth", &Link::bandwidth)
      .def_readonly("latency", &Link::latency)
      .def_readonly("fraction", &Link::fraction);
  Class<Accuracy>(m, "Accuracy",
                  "How far forecasts were from measured steps, as a share of "
                  "these.")
      .def(py::init([](double median, double p90, int cases) {
             return Accuracy{median, p90, cases};
           }),
           py::kw_only(), py::arg("median"), py::arg("p90"), py::arg("cases"),
           "Of half of the steps less, of nine in ten less; steps on such "
           "machines, 0: none, and the errors are those on others.")
      .def_readonly("median", &Accuracy::median)
      .def_readonly("p90", &Accuracy::p90)
      .def_readonly("cases", &Accuracy::cases);
  Class<Hardware>(m, "Hardware",
                  "What a training job runs on: properties of a machine and "
                  "coefficients of the cost model.")
      .def(py::init(
               [](std::string name, const PeakRates& peak, double memory_bytes,
                  double memory_bandwidth, double matmul_fraction, int units,
                  int tile_rows, int tile_columns, double half_inner,
                  double attention_forward, double attention_backward,
                  double memory_fraction, double kernel_gap, double host_launch,
                  double shared_by_collectives, const Link& domain,
                  const Link& network, double idle_watts, double busy_watts,
                  double site_factor, double hours_between_failures,
                  const std::optional<Accuracy>& accuracy) {
                 return Hardware{
                     .name = std::move(name),
                     .peak = peak,
                     .memory_bytes = memory_bytes,
                     .memory_bandwidth = memory_bandwidth,
                     .matmul_fraction = matmul_fraction,
                     .units = units,
                     .tile_rows = tile_rows,
                     .tile_columns = tile_columns,
                     .half_inner = half_inner,
                     .attention_forward = attention_forward,
                     .attention_backward = attention_backward,
                     .memory_fraction = memory_fraction,
                     .kernel_gap = kernel_gap,
                     .host_launch = host_launch,
                     .shared_by_collectives = shared_by_collectives,
                     .domain = domain,
                     .network = network,
                     .idle_watts = idle_watts,
                     .busy_watts = busy_watts,
                     .site_factor = site_factor,
                     .hours_between_failures = hours_between_failures,
                     .accuracy = accuracy.value_or(Accuracy{})};
               }),
           py::kw_only(), py::arg("name"), py::arg("peak"),
           py::arg("memory_bytes"), py::arg("memory_bandwidth"),
           py::arg("matmul_fraction"), py::arg("units"), py::arg("tile_rows"),
           py::arg("tile_columns"), py::arg("half_inner"),
           py::arg("attention_forward"), py::arg("attention_backward"),
           py::arg("memory_fraction"), py::arg("kernel_gap"),
           py::arg("host_launch"), py::arg("shared_by_collectives"),
           py::arg("domain"), py::arg("network"), py::arg("idle_watts"),
           py::arg("busy_watts"), py::arg("site_factor"),
           py::arg("hours_between_failures"), py::arg("accuracy") = py::none())
      .def_readonly("name", &Hardware::name)
      .def_readonly("peak", &Hardware::peak)
      .def_readonly("memory_bytes", &Hardware::memory_bytes)
      .def_readonly("memory_bandwidth", &Hardware::memory_bandwidth, "Bytes/s.")
      .def_readonly("domain", &Hardware::domain)
      .def_readonly("network", &Hardware::network)
      .def_readonly("idle_watts", &Hardware::idle_watts)
      .def_readonly("busy_watts", &Hardware::busy_watts)
      .def_readonly("site_factor", &Hardware::site_factor,
                    "What the site draws for each watt of its computers.")
      .def_readonly("hours_between_failures", &Hardware::hours_between_failures,
                    "Of one device, such that the job ends; 0: unknown.")
      .def_readonly("accuracy", &Hardware::accuracy);
}

}  // namespace eisbach::bindings
