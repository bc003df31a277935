#include <pybind11/stl/filesystem.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/json_text.h"
#include "bindings/update_steps.h"
#include "bindings/variable.h"
#include "core/status_macros.h"
#include "nn/module.h"
#include "train/update.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using train::Update;

// An update and the parameters that it refers to.
struct OwnedUpdate {
  std::vector<std::shared_ptr<Parameter>> parameters;
  uint64_t seed;
  std::shared_ptr<Device> device;
  std::unique_ptr<Update> update;
  std::unique_ptr<train::Saves> saves;
};

std::unique_ptr<OwnedUpdate> Make(
    std::vector<std::shared_ptr<Parameter>> parameters,
    const train::UpdateConfig& config, const parallel::ParallelContext& context,
    int sums) {
  if (sums < 0) throw py::value_error("sums is negative");
  std::vector<Parameter*> plain;
  for (const auto& parameter : parameters) {
    if (parameter == nullptr) {
      throw py::type_error(absl::StrCat("Update: parameters[", plain.size(),
                                        "]=None; it takes an "
                                        "eisbach.Parameter"));
    }
    plain.push_back(parameter.get());
  }
  return WithoutGil([&] {
    auto update = Unwrap(Update::Make(plain, config, sums, context));
    auto saves = std::make_unique<train::Saves>(*update);
    return std::make_unique<OwnedUpdate>(OwnedUpdate{
        std::move(parameters), config.seed, context.device().shared_from_this(),
        std::move(update), std::move(saves)});
  });
}

double GradNorm(OwnedUpdate& self) {
  double squared = 0;
  Stream& stream = self.device->compute_stream();
  Unwrap(self.device->CopyToHost(&squared, self.update->norm_squared().raw(),
                                 sizeof(squared), stream));
  Unwrap(stream.Synchronize());
  return std::sqrt(squared);
}

std::vector<double> ReadSums(OwnedUpdate& self) {
  const Tensor& sums = self.update->sums();
  std::vector<double> values(sums.elements());
  Stream& stream = self.device->compute_stream();
  Unwrap(
      self.device->CopyToHost(values.data(), sums.raw(), sums.bytes(), stream));
  Unwrap(stream.Synchronize());
  return values;
}

double ReadLossScale(OwnedUpdate& self) {
  return WithoutGil([&] {
    return static_cast<double>(Unwrap(self.update->ReadLossScale())
                                   .value_or(optim::LossScale())
                                   .scale);
  });
}

// Adds a loss, f64 [1], to a sum on the device.
absl::Status SetSum(OwnedUpdate& self, int index, const Variable& value) {
  const Tensor& sums = self.update->sums();
  const Tensor& from = value.value;
  if (index < 0 || index >= sums.elements()) {
    return absl::OutOfRangeError(absl::StrCat(
        "sum ", index, " of an update that has ", sums.elements()));
  }
  if (from.dtype() != DType::kF64 || from.elements() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a sum is f64 of one element, not ", from.ToString()));
  }
  return self.device->CopyOnDevice(static_cast<double*>(sums.raw()) + index,
                                   from.raw(), sizeof(double),
                                   self.device->compute_stream());
}

nn::ForwardContext Context(OwnedUpdate& self, bool training,
                           const Variable* samples, const Variable* starts) {
  if (training && samples == nullptr) {
    throw py::value_error(
        "training needs the samples' indices, of which dropout depends");
  }
  return nn::ForwardContext{
      .stream = self.device->compute_stream(),
      .training = training,
      .seed = self.seed,
      .step = self.update->state().step(),
      .sample_index = samples == nullptr ? Tensor() : samples->value,
      .loss_scale = self.update->loss_scale(),
      .starts = starts == nullptr ? Tensor() : starts->value};
}

}  // namespace

void BindUpdate(CoreModule& m) {
  constexpr auto kReleased = py::call_guard<py::gil_scoped_release>();
  Class<OwnedUpdate>(
      m, "Update",
      "The weights of a rank and how they change: begin_step, forward and "
      "backward of each micro-batch, finish. All ranks make the same calls.")
      .def(py::init(&Make), py::arg("parameters"), py::arg("config"),
           py::arg("context"), py::kw_only(), py::arg("sums") = 0,
           py::keep_alive<1, 4>(),
           "Gives the parameters, in the order of forward, their memory and "
           "initial values. One that a micro-batch uses twice is listed "
           "twice. `sums` further numbers are summed over ranks with the "
           "norm.")
      .def(
          "begin_step",
          [](OwnedUpdate& u, int micro_batches) -> absl::Status {
            // Whoever composes a model sees the norm of each step.
            EISBACH_RETURN_IF_ERROR(u.update->ForgetNonFinite());
            return u.update->BeginStep(micro_batches);
          },
          py::arg("micro_batches") = 1, kReleased,
          "Begins a step of so many micro-batches.")
      .def("set_sum", &SetSum, py::arg("index"), py::arg("value"), kReleased,
           "This rank's part of a sum, a loss f64 [1]; after begin_step.")
      .def(
          "finish", [](OwnedUpdate& u) { return u.update->Finish(); },
          kReleased,
          "Reduces the gradients over ranks, clips, and updates the weights, "
          "unless the norm is not finite; in f16 the loss scale then halves.")
      .def_property_readonly("sums", &ReadSums,
                             "After finish: the sums over all ranks.")
      .def_property_readonly(
          "grad_norm", &GradNorm,
          "After finish: the norm of the whole gradient before clipping.")
      .def_property(
          "step", [](OwnedUpdate& u) { return u.update->step(); },
          [](OwnedUpdate& u, int64_t step) {
            Unwrap(SetSteps(*u.update, "step", step));
          },
          "Steps begun.")
      .def_property(
          "learning_rate",
          [](OwnedUpdate& u) { return u.update->learning_rate(); },
          [](OwnedUpdate& u, std::optional<double> value) {
            Unwrap(u.update->SetLearningRate(value));
          },
          "Of the step begun last. One that is set counts from the next step "
          "on instead of the schedule's, until None is set.")
      .def(
          "save",
          [](OwnedUpdate& u, const std::filesystem::path& root,
             const JsonText& config, const JsonText& state) {
            return SaveSteps(*u.saves, root, config, state);
          },
          py::arg("root"), py::kw_only(), py::arg("config") = JsonText{"{}"},
          py::arg("state") = JsonText{"{}"}, kReleased,
          "Saves weights and optimizer as ROOT/step-N/ and returns that path. "
          "`config` is a dict, or a str of JSON, that must be the same to load "
          "it; `state` is one that load gives back, as a str of JSON. "
          "Collective.")
      .def(
          "load",
          [](OwnedUpdate& u, const std::filesystem::path& path,
             const JsonText& config) {
            return LoadSteps(*u.update, path, config);
          },
          py::arg("path"), py::kw_only(), py::arg("config") = JsonText{"{}"},
          kReleased,
          "Goes on from a checkpoint of the same parameters on any layout; "
          "returns the state that it was saved with, as a str of JSON. "
          "Collective.")
      .def_property_readonly("loss_scale", &ReadLossScale,
                             "What a loss's gradient must be multiplied by in "
                             "this step: 1 but in f16. A head does so by "
                             "itself. Waits for the device.")
      .def("forward_context", &Context, py::kw_only(),
           py::arg("training") = false, py::arg("samples") = py::none(),
           py::arg("starts") = py::none(),
           "What layers are called with, at this step; see ForwardContext.")
      .def(
          "refresh", [](OwnedUpdate& u) { return u.update->RefreshData(); },
          kReleased,
          "Rounds the master weights to the compute type, after writing to "
          "them.");
}

}  // namespace eisbach::bindings
