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
                       double lr_factor, std::optional<double> weight_decay,
                       bool adamw) {
             return ParameterGroup{.patterns = std::move(parameters),
                                   .frozen = frozen,
                                   .rate_factor = lr_factor,
                                   .weight_decay = weight_decay,
                                   .adamw = adamw};
           }),
           py::arg("parameters"), py::kw_only(), py::arg("frozen") = false,
           py::arg("lr_factor") = 1.0, py::arg("weight_decay") = py::none(),
           py::arg("adamw") = false)
      .def_readonly("parameters", &ParameterGroup::patterns,
                    "Patterns of names, as a shell's: `blocks.0.*`.")
      .def_readonly("frozen", &ParameterGroup::frozen,
                    "Whether they stay as they are.")
      .def_readonly("lr_factor", &ParameterGroup::rate_factor,
                    "Times the learning rate.")
      .def_readonly("weight_decay", &ParameterGroup::weight_decay,
                    "Instead of the optimizer's; None: the same.")
      .def_readonly("adamw", &ParameterGroup::adamw,
                    "Of muon: whether AdamW trains matrices as well.");

  Class<OptimizerConfig>(m, "OptimizerConfig",
                         "An update rule: adamw, lion, muon or sgd.")
      .def(py::init([](std::string name, double beta1, double beta2, double eps,
                       double momentum, double weight_decay,
                       bool stochastic_rounding,
                       std::vector<ParameterGroup> groups, bool nesterov,
                       int newton_schulz_steps, std::string matrix_scale,
                       double adamw_lr_factor, double average_decay) {
             return OptimizerConfig{.name = std::move(name),
                                    .beta1 = beta1,
                                    .beta2 = beta2,
                                    .eps = eps,
                                    .momentum = momentum,
                                    .weight_decay = weight_decay,
                                    .stochastic_rounding = stochastic_rounding,
                                    .nesterov = nesterov,
                                    .newton_schulz_steps = newton_schulz_steps,
                                    .matrix_scale = std::move(matrix_scale),
                                    .adamw_rate_factor = adamw_lr_factor,
                                    .average_decay = average_decay,
                                    .groups = std::move(groups)};
           }),
           py::kw_only(), py::arg("name"), py::arg("beta1"), py::arg("beta2"),
           py::arg("eps"), py::arg("momentum"), py::arg("weight_decay"),
           py::arg("stochastic_rounding") = false,
           py::arg("groups") = std::vector<ParameterGroup>(),
           py::arg("nesterov") = true, py::arg("newton_schulz_steps") = 5,
           py::arg("matrix_scale") = "original",
           py::arg("adamw_lr_factor") = 1.0, py::arg("average_decay") = 0.0)
      .def_readonly("name", &OptimizerConfig::name,
                    "`adamw`, `lion`, `muon` or `sgd`.")
      .def_readonly("beta1", &OptimizerConfig::beta1,
                    "Decay of the gradient's mean.")
      .def_readonly("beta2", &OptimizerConfig::beta2,
                    "Decay of its square's mean.")
      .def_readonly("eps", &OptimizerConfig::eps, "Added to the root of that.")
      .def_readonly("momentum", &OptimizerConfig::momentum, "Of muon and sgd.")
      .def_readonly("weight_decay", &OptimizerConfig::weight_decay,
                    "Times the learning rate, of matrices.")
      .def_readonly("stochastic_rounding",
                    &OptimizerConfig::stochastic_rounding,
                    "Whether compute copies are rounded at random.")
      .def_readonly("nesterov", &OptimizerConfig::nesterov,
                    "Of muon: whether the momentum is Nesterov's.")
      .def_readonly("newton_schulz_steps",
                    &OptimizerConfig::newton_schulz_steps, "Of muon.")
      .def_readonly("matrix_scale", &OptimizerConfig::matrix_scale,
                    "Of muon: `original` or `match_rms_adamw`.")
      .def_readonly("adamw_lr_factor", &OptimizerConfig::adamw_rate_factor,
                    "Of muon: times the learning rate, of what AdamW trains.")
      .def_readonly("average_decay", &OptimizerConfig::average_decay,
                    "Of an average of the weights; 0: none is kept.")
      .def_readonly("groups", &OptimizerConfig::groups,
                    "Parameters that are trained otherwise than the rest.");

  Class<ScheduleConfig>(m, "ScheduleConfig",
                        "A learning rate: constant, linear, cosine, wsd or "
                        "cosine_restarts.")
      .def(py::init([](std::string name, double learning_rate,
                       double min_learning_rate, int64_t warmup_steps,
                       int64_t total_steps, int64_t decay_steps,
                       std::string decay, int64_t cycle_steps,
                       double cycle_factor) {
             return ScheduleConfig{.name = std::move(name),
                                   .learning_rate = learning_rate,
                                   .min_learning_rate = min_learning_rate,
                                   .warmup_steps = warmup_steps,
                                   .total_steps = total_steps,
                                   .decay_steps = decay_steps,
                                   .decay = std::move(decay),
                                   .cycle_steps = cycle_steps,
                                   .cycle_factor = cycle_factor};
           }),
           py::kw_only(), py::arg("name"), py::arg("learning_rate"),
           py::arg("min_learning_rate"), py::arg("warmup_steps"),
           py::arg("total_steps"), py::arg("decay_steps") = 0,
           py::arg("decay") = "linear", py::arg("cycle_steps") = 0,
           py::arg("cycle_factor") = 1.0)
      .def_readonly("name", &ScheduleConfig::name,
                    "`constant`, `linear`, `cosine`, `wsd` or "
                    "`cosine_restarts`.")
      .def_readonly("learning_rate", &ScheduleConfig::learning_rate,
                    "The highest, after warm-up.")
      .def_readonly("min_learning_rate", &ScheduleConfig::min_learning_rate,
                    "The last.")
      .def_readonly("warmup_steps", &ScheduleConfig::warmup_steps,
                    "In which it rises from 0.")
      .def_readonly("total_steps", &ScheduleConfig::total_steps,
                    "After which it is the last.")
      .def_readonly("decay_steps", &ScheduleConfig::decay_steps,
                    "Of wsd: the last, in which it falls.")
      .def_readonly("decay", &ScheduleConfig::decay,
                    "Of wsd: `linear`, `cosine` or `sqrt`.")
      .def_readonly("cycle_steps", &ScheduleConfig::cycle_steps,
                    "Of cosine_restarts: of the first cycle.")
      .def_readonly("cycle_factor", &ScheduleConfig::cycle_factor,
                    "Of cosine_restarts: each cycle is so many times longer "
                    "than the one before it.")
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
