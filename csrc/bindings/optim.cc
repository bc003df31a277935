#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"

namespace eisbach::bindings {

namespace py = pybind11;
using optim::OptimizerConfig;
using optim::ParameterGroup;
using optim::ScheduleConfig;

void BindOptim(CoreModule& m) {
  Class<ParameterGroup>(m, "ParameterGroup",
                        "Parameters that are trained otherwise than the rest.")
      .def(py::init([](std::vector<std::string> parameters, bool frozen,
                       double lr_factor, std::optional<double> weight_decay) {
             return ParameterGroup{.patterns = std::move(parameters),
                                   .frozen = frozen,
                                   .rate_factor = lr_factor,
                                   .weight_decay = weight_decay};
           }),
           py::arg("parameters"), py::kw_only(), py::arg("frozen") = false,
           py::arg("lr_factor") = 1.0, py::arg("weight_decay") = py::none())
      .def_readonly("parameters", &ParameterGroup::patterns,
                    "Patterns of names, as a shell's: `blocks.0.*`.")
      .def_readonly("frozen", &ParameterGroup::frozen,
                    "Whether they stay as they are.")
      .def_readonly("lr_factor", &ParameterGroup::rate_factor,
                    "Times the learning rate.")
      .def_readonly("weight_decay", &ParameterGroup::weight_decay,
                    "Instead of the optimizer's; None: the same.");

  Class<OptimizerConfig>(m, "OptimizerConfig", "An update rule: adamw or sgd.")
      .def(py::init([](std::string name, double beta1, double beta2, double eps,
                       double momentum, double weight_decay,
                       bool stochastic_rounding,
                       std::vector<ParameterGroup> groups) {
             return OptimizerConfig{.name = std::move(name),
                                    .beta1 = beta1,
                                    .beta2 = beta2,
                                    .eps = eps,
                                    .momentum = momentum,
                                    .weight_decay = weight_decay,
                                    .stochastic_rounding = stochastic_rounding,
                                    .groups = std::move(groups)};
           }),
           py::kw_only(), py::arg("name"), py::arg("beta1"), py::arg("beta2"),
           py::arg("eps"), py::arg("momentum"), py::arg("weight_decay"),
           py::arg("stochastic_rounding") = false,
           py::arg("groups") = std::vector<ParameterGroup>())
      .def_readonly("name", &OptimizerConfig::name, "`adamw` or `sgd`.")
      .def_readonly("beta1", &OptimizerConfig::beta1,
                    "Decay of the gradient's mean.")
      .def_readonly("beta2", &OptimizerConfig::beta2,
                    "Decay of its square's mean.")
      .def_readonly("eps", &OptimizerConfig::eps, "Added to the root of that.")
      .def_readonly("momentum", &OptimizerConfig::momentum, "Of sgd.")
      .def_readonly("weight_decay", &OptimizerConfig::weight_decay,
                    "Times the learning rate, of matrices.")
      .def_readonly("stochastic_rounding",
                    &OptimizerConfig::stochastic_rounding,
                    "Whether compute copies are rounded at random.")
      .def_readonly("groups", &OptimizerConfig::groups,
                    "Parameters that are trained otherwise than the rest.");

  Class<ScheduleConfig>(m, "ScheduleConfig",
                        "A learning rate: constant, linear or cosine.")
      .def(py::init([](std::string name, double learning_rate,
                       double min_learning_rate, int64_t warmup_steps,
                       int64_t total_steps) {
             return ScheduleConfig{.name = std::move(name),
                                   .learning_rate = learning_rate,
                                   .min_learning_rate = min_learning_rate,
                                   .warmup_steps = warmup_steps,
                                   .total_steps = total_steps};
           }),
           py::kw_only(), py::arg("name"), py::arg("learning_rate"),
           py::arg("min_learning_rate"), py::arg("warmup_steps"),
           py::arg("total_steps"))
      .def_readonly("name", &ScheduleConfig::name,
                    "`constant`, `linear` or `cosine`.")
      .def_readonly("learning_rate", &ScheduleConfig::learning_rate,
                    "The highest, after warm-up.")
      .def_readonly("min_learning_rate", &ScheduleConfig::min_learning_rate,
                    "The last.")
      .def_readonly("warmup_steps", &ScheduleConfig::warmup_steps,
                    "In which it rises from 0.")
      .def_readonly("total_steps", &ScheduleConfig::total_steps,
                    "After which it is the last.")
      .def(
          "at",
          [](const ScheduleConfig& config, int64_t step) {
            if (step < 1) {
              throw py::value_error(
                  absl::StrCat("step=", step, " is below 1, the first"));
            }
            return Unwrap(optim::LearningRateSchedule::Make(config)).At(step);
          },
          py::arg("step"), "The learning rate of a step, counted from 1.");
}

}  // namespace eisbach::bindings
