#include <map>
#include <optional>
#include <string>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/device_type.h"
#include "bindings/unwrap.h"
#include "plan/hardware.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::Accuracy;
using plan::CollectiveSpeed;
using plan::HalfSizes;
using plan::Hardware;
using plan::Link;
using plan::OpSpeed;
using plan::PeakRates;

namespace {

template <typename T>
absl::flat_hash_map<std::string, T> ByName(
    const std::map<std::string, T>& values) {
  return {values.begin(), values.end()};
}

template <typename T>
std::map<std::string, T> Sorted(
    const absl::flat_hash_map<std::string, T>& values) {
  return {values.begin(), values.end()};
}

void BindSpeeds(CoreModule& m) {
  Class<HalfSizes>(m, "HalfSizes",
                   "Sizes of a product at which it takes twice the time of its "
                   "arithmetic.")
      .def(py::init([](double rows, double columns, double inner) {
             return HalfSizes{rows, columns, inner};
           }),
           py::kw_only(), py::arg("rows") = 0.0, py::arg("columns") = 0.0,
           py::arg("inner") = 0.0)
      .def_readonly("rows", &HalfSizes::rows)
      .def_readonly("columns", &HalfSizes::columns)
      .def_readonly("inner", &HalfSizes::inner);
  Class<OpSpeed>(m, "OpSpeed", "Seconds of an op that was measured.")
      .def(py::init([](double call, double flop, double byte, double row) {
             return OpSpeed{call, flop, byte, row};
           }),
           py::kw_only(), py::arg("call") = 0.0, py::arg("flop") = 0.0,
           py::arg("byte") = 0.0, py::arg("row") = 0.0,
           "Seconds of a call, and for each operation, for each byte, and, of "
           "attention, for each operation by the size of a head.")
      .def_readonly("call", &OpSpeed::call)
      .def_readonly("flop", &OpSpeed::flop)
      .def_readonly("byte", &OpSpeed::byte)
      .def_readonly("row", &OpSpeed::row);
  Class<CollectiveSpeed>(m, "CollectiveSpeed",
                         "A collective inside a domain that was measured.")
      .def(py::init(
               [](double latency, double bandwidth, double staged_bandwidth) {
                 return CollectiveSpeed{latency, bandwidth, staged_bandwidth};
               }),
           py::kw_only(), py::arg("latency"), py::arg("bandwidth"),
           py::arg("staged_bandwidth"),
           "Seconds of a message; bytes/s of tensors that other ranks reach, "
           "and of those that they do not.")
      .def_readonly("latency", &CollectiveSpeed::latency)
      .def_readonly("bandwidth", &CollectiveSpeed::bandwidth)
      .def_readonly("staged_bandwidth", &CollectiveSpeed::staged_bandwidth);
}

}  // namespace

void BindHardware(CoreModule& m) {
  BindSpeeds(m);
  Class<PeakRates>(m, "PeakRates",
                   "FLOP/s of dense matrix products by the type of their "
                   "operands; 0: none.")
      .def(py::init([](double f32, double f16, double f8, double f4) {
             return PeakRates{f32, f16, f8, f4};
           }),
           py::kw_only(), py::arg("f32"), py::arg("f16") = 0.0,
           py::arg("f8") = 0.0, py::arg("f4") = 0.0)
      .def_readonly("f32", &PeakRates::f32)
      .def("of", &PeakRates::Of, py::arg("dtype"),
           "Of a type that training computes in: f32 where there is no f16.")
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
      .def(
          py::init([](std::string name, const std::string& device,
                      const PeakRates& peak, double memory_bytes,
                      double memory_bandwidth, double matmul_fraction,
                      int units, int tile_rows, int tile_columns,
                      const HalfSizes& half, const HalfSizes& half_f16,
                      double attention_forward, double attention_backward,
                      double memory_fraction, double kernel_gap,
                      double host_launch, double shared_by_collectives,
                      const std::map<std::string, OpSpeed>& speeds,
                      const std::map<std::string, OpSpeed>& speeds_f16,
                      const std::map<std::string, CollectiveSpeed>& collectives,
                      double step_host, const Link& domain, const Link& network,
                      double idle_watts, double busy_watts, double site_factor,
                      double hours_between_failures,
                      const std::optional<Accuracy>& accuracy) {
            return Hardware{.name = std::move(name),
                            .device = Unwrap(ParseDeviceType(device)),
                            .peak = peak,
                            .memory_bytes = memory_bytes,
                            .memory_bandwidth = memory_bandwidth,
                            .matmul_fraction = matmul_fraction,
                            .units = units,
                            .tile_rows = tile_rows,
                            .tile_columns = tile_columns,
                            .half = half,
                            .half_f16 = half_f16,
                            .attention_forward = attention_forward,
                            .attention_backward = attention_backward,
                            .memory_fraction = memory_fraction,
                            .kernel_gap = kernel_gap,
                            .host_launch = host_launch,
                            .shared_by_collectives = shared_by_collectives,
                            .speeds = ByName(speeds),
                            .speeds_f16 = ByName(speeds_f16),
                            .collectives = ByName(collectives),
                            .step_host = step_host,
                            .domain = domain,
                            .network = network,
                            .idle_watts = idle_watts,
                            .busy_watts = busy_watts,
                            .site_factor = site_factor,
                            .hours_between_failures = hours_between_failures,
                            .accuracy = accuracy.value_or(Accuracy{})};
          }),
          py::kw_only(), py::arg("name"), py::arg("device"), py::arg("peak"),
          py::arg("memory_bytes"), py::arg("memory_bandwidth"),
          py::arg("matmul_fraction"), py::arg("units"), py::arg("tile_rows"),
          py::arg("tile_columns"), py::arg("half"), py::arg("half_f16"),
          py::arg("attention_forward"), py::arg("attention_backward"),
          py::arg("memory_fraction"), py::arg("kernel_gap"),
          py::arg("host_launch"), py::arg("shared_by_collectives"),
          py::arg("speeds"), py::arg("speeds_f16"), py::arg("collectives"),
          py::arg("step_host"), py::arg("domain"), py::arg("network"),
          py::arg("idle_watts"), py::arg("busy_watts"), py::arg("site_factor"),
          py::arg("hours_between_failures"), py::arg("accuracy") = py::none())
      .def_readonly("name", &Hardware::name)
      .def_property_readonly(
          "device",
          [](const Hardware& h) { return std::string(Name(h.device)); },
          "`cuda` or `cpu`.")
      .def_readonly("peak", &Hardware::peak)
      .def_readonly("memory_bytes", &Hardware::memory_bytes)
      .def_readonly("memory_bandwidth", &Hardware::memory_bandwidth, "Bytes/s.")
      .def_readonly("half", &Hardware::half)
      .def_readonly("half_f16", &Hardware::half_f16)
      .def_property_readonly(
          "speeds", [](const Hardware& h) { return Sorted(h.speeds); },
          "Of ops that were measured, by name.")
      .def_property_readonly(
          "speeds_f16", [](const Hardware& h) { return Sorted(h.speeds_f16); },
          "Of products and attention of 16 bits.")
      .def_property_readonly(
          "collectives",
          [](const Hardware& h) { return Sorted(h.collectives); },
          "Of those that were measured, by name.")
      .def_readonly("step_host", &Hardware::step_host)
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
