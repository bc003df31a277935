#include <string>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "optim/step_guard.h"

namespace eisbach::bindings {

namespace py = pybind11;
using optim::SpikeConfig;

void BindSpikes(CoreModule& m) {
  Class<SpikeConfig>(m, "SpikeConfig",
                     "Which steps are bad, and what is done then.")
      .def(py::init([](const std::string& on_spike, double deviations,
                       int window, int most_skips) {
             const SpikeConfig config{
                 .on_spike = Unwrap(optim::ParseOnSpike(on_spike)),
                 .rule = {.window = window, .deviations = deviations},
                 .most_skips = most_skips};
             Unwrap(optim::Validate(config));
             return config;
           }),
           py::kw_only(), py::arg("on_spike") = "stop",
           py::arg("deviations") = 0.0, py::arg("window") = 64,
           py::arg("most_skips") = 3)
      .def_property_readonly(
          "on_spike",
          [](const SpikeConfig& c) {
            return std::string(optim::Name(c.on_spike));
          },
          "`stop`, `skip` or `rerun`.")
      .def_property_readonly(
          "deviations", [](const SpikeConfig& c) { return c.rule.deviations; },
          "From the median to where a spike begins; 0: only what is not finite "
          "is bad.")
      .def_property_readonly(
          "window", [](const SpikeConfig& c) { return c.rule.window; },
          "Good steps that a step is compared with.")
      .def_readonly("most_skips", &SpikeConfig::most_skips, "In a row.");
}

}  // namespace eisbach::bindings
