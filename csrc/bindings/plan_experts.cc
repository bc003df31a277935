#include <utility>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/unwrap.h"
#include "plan/experts.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::Experts;
using plan::ModelSize;

void BindExperts(CoreModule& m) {
  Class<ModelSize>(m, "ModelSize", "Numbers of a whole model.")
      .def_readonly("parameters", &ModelSize::parameters)
      .def_readonly("active", &ModelSize::active, "Those that a token meets.")
      .def_readonly("flops_per_token", &ModelSize::flops_per_token,
                    "Of training, without recomputing.");
  Class<Experts>(m, "Experts",
                 "Layers of experts in place of each MLP: modelled, not yet in "
                 "the runtime.")
      .def(py::init([](int64_t count, int64_t per_token, int64_t hidden,
                       int64_t shared_hidden, int ranks) {
             return Experts{.count = count,
                            .per_token = per_token,
                            .hidden = hidden,
                            .shared_hidden = shared_hidden,
                            .ranks = ranks};
           }),
           py::arg("count") = 0, py::kw_only(), py::arg("per_token") = 1,
           py::arg("hidden") = 0, py::arg("shared_hidden") = 0,
           py::arg("ranks") = 1,
           "`count` of a layer, 0: the model is dense; of each `hidden` wide a "
           "token goes through `per_token`, and through one that is "
           "`shared_hidden` wide. `ranks`: that divide them, where no search "
           "chooses.")
      .def_readonly("count", &Experts::count)
      .def_readonly("per_token", &Experts::per_token)
      .def_readonly("hidden", &Experts::hidden)
      .def_readonly("shared_hidden", &Experts::shared_hidden)
      .def_readonly("ranks", &Experts::ranks)
      .def(
          "dense",
          [](const Experts& experts, const train::EngineConfig& config) {
            return Unwrap(plan::DenseOf(config, experts));
          },
          py::arg("config"),
          "What runs in their place, to be planned with them.")
      .def(
          "size",
          [](const Experts& experts, const models::ModelConfig& model) {
            return plan::SizeOf(model, experts);
          },
          py::arg("model"), "Of a model that has them.");
}

}  // namespace eisbach::bindings
