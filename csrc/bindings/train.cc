#include <pybind11/stl/filesystem.h>
#include <pybind11/typing.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/json_text.h"
#include "bindings/numpy.h"
#include "bindings/train_weights.h"
#include "bindings/update_steps.h"
#include "bindings/variable.h"
#include "data/batch.h"
#include "parallel/data/division_text.h"
#include "train/engine.h"
#include "train/update.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using data::Batch;
using train::Engine;
using train::EngineConfig;
using train::Update;
using train::UpdateConfig;

train::StepInput InputOf(const Batch& batch) {
  return {batch.tokens,    batch.targets, batch.samples,
          batch.ids_below, batch.starts,  batch.reference};
}

void BindConfigs(CoreModule& m) {
  Class<UpdateConfig>(m, "UpdateConfig", "How weights change.")
      .def(py::init([](optim::OptimizerConfig optimizer,
                       optim::ScheduleConfig schedule, double clip_grad_norm,
                       DType compute_dtype, int64_t bucket_bytes, uint64_t seed,
                       float initial_loss_scale, int loss_scale_window,
                       bool initial_values, int zero, int zero_group,
                       int zero_prefetch, DType reduce_wire) {
             return UpdateConfig{
                 .optimizer = std::move(optimizer),
                 .schedule = std::move(schedule),
                 .clip_grad_norm = clip_grad_norm,
                 .compute_dtype = compute_dtype,
                 .bucket_bytes = bucket_bytes,
                 .seed = seed,
                 .initial_loss_scale = initial_loss_scale,
                 .loss_scale_window = loss_scale_window,
                 .initial_values = initial_values,
                 .zero = {zero, zero_group, zero_prefetch, reduce_wire}};
           }),
           py::kw_only(), py::arg("optimizer"), py::arg("schedule"),
           py::arg("clip_grad_norm"), py::arg("compute_dtype"),
           py::arg("bucket_bytes"), py::arg("seed"),
           py::arg("initial_loss_scale") = 65536.0,
           py::arg("loss_scale_window") = 1000,
           py::arg("initial_values") = true, py::arg("zero") = 0,
           py::arg("zero_group") = 0, py::arg("zero_prefetch") = 1,
           py::arg("reduce_wire") = DType::kF32,
           "The two of the loss scale have a meaning in f16 alone. Without "
           "initial_values weights are zero until they are loaded.")
      .def_readonly("optimizer", &UpdateConfig::optimizer, "The update rule.")
      .def_readonly("schedule", &UpdateConfig::schedule,
                    "The learning rate of each step.")
      .def_readonly("clip_grad_norm", &UpdateConfig::clip_grad_norm,
                    "Longest gradient; 0 for any.")
      .def_readonly("compute_dtype", &UpdateConfig::compute_dtype,
                    "Of weights and activations in forward and backward.")
      .def_readonly("bucket_bytes", &UpdateConfig::bucket_bytes,
                    "About how much of the gradient is reduced at once.")
      .def_readonly("seed", &UpdateConfig::seed,
                    "Of initial values and dropout.")
      .def_readonly("initial_loss_scale", &UpdateConfig::initial_loss_scale,
                    "In f16, of the first step.")
      .def_readonly("loss_scale_window", &UpdateConfig::loss_scale_window,
                    "In f16, steps without overflow until the scale doubles.")
      .def_readonly("initial_values", &UpdateConfig::initial_values,
                    "Whether weights are drawn; else they are zero until they "
                    "are loaded, new adapters apart.")
      .def_property_readonly(
          "zero", [](const UpdateConfig& c) { return c.zero.zero; },
          "What ranks of data x context divide: 1 masters and optimizer state, "
          "2 gradients as well, 3 weights as well.")
      .def_property_readonly(
          "zero_group", [](const UpdateConfig& c) { return c.zero.group; },
          "Neighbours that divide it; 0 for all.")
      .def_property_readonly(
          "zero_prefetch",
          [](const UpdateConfig& c) { return c.zero.prefetch; },
          "With zero=3, buckets of weights that are brought ahead.")
      .def_property_readonly(
          "reduce_wire", [](const UpdateConfig& c) { return c.zero.wire; },
          "With zero=2 and 3, the type in which gradients travel.");
}

void BindEngine(CoreModule& m) {
  constexpr auto kReleased = py::call_guard<py::gil_scoped_release>();
  Class<Engine> engine(m, "Engine",
                       "One rank of a training job. Every rank makes the same "
                       "calls with its own samples.");
  BindWeights(engine);
  engine
      .def(py::init([](const EngineConfig& config,
                       const parallel::ParallelContext& context) {
             return WithoutGil(
                 [&] { return Unwrap(Engine::Make(config, context)); });
           }),
           py::arg("config"), py::arg("context"), py::keep_alive<1, 3>(),
           "Checks that all fits, then builds this rank's stage and gives the "
           "weights their initial values.")
      .def(
          "step",
          [](Engine& engine, const Batch& batch) {
            return engine.Step(InputOf(batch));
          },
          py::arg("batch"), kReleased,
          "One training step, submit and collect. NonFiniteError leaves the "
          "weights as they were.")
      .def(
          "submit",
          [](Engine& engine, const Batch& batch) {
            return engine.Submit(InputOf(batch));
          },
          py::arg("batch"), kReleased,
          "Gives a step to the device without waiting for it; a few may wait "
          "to be collected.")
      .def("collect", &Engine::Collect, kReleased,
           "Waits for the oldest step that was submitted. NonFiniteError "
           "leaves the weights as they were before it; steps submitted after "
           "it are void.")
      .def(
          "ask_to_stop", [](Engine& e) { e.Ask(train::Request::kStop); },
          "Asks all ranks to stop: the result of the step that this rank "
          "begins next says so on each. From any thread.")
      .def(
          "ask_to_save", [](Engine& e) { e.Ask(train::Request::kSave); },
          "Asks all ranks for a checkpoint, as ask_to_stop.")
      .def(
          "watch_stragglers", &Engine::WatchStragglers, py::arg("steps"),
          kReleased,
          "From here on the results on rank 0 tell which rank, or link between "
          "ranks, is slow for so many steps. Collective.")
      .def_property_readonly("submitted", &Engine::submitted,
                             "Steps that wait to be collected.")
      .def_property_readonly(
          "failed_alike", &Engine::failed_alike,
          "Whether collect has raised what it raised on every rank: a step "
          "was bad, or replicas differ.")
      .def_property_readonly(
          "replicas_differ",
          [](const Engine& e) {
            return e.replicas() != nullptr && e.replicas()->differ();
          },
          "Whether collect has found ranks that should hold the same bits and "
          "do not; the same on all ranks.")
      .def_property_readonly(
          "replicas_equal_at",
          [](const Engine& e) {
            return e.replicas() == nullptr ? 0 : e.replicas()->equal_at();
          },
          "The last step after which they did hold the same; 0 before.")
      .def(
          "sample_losses",
          [](Engine& engine, const Batch& batch) {
            return engine.SampleLosses(InputOf(batch));
          },
          py::arg("batch"), kReleased,
          "The sum of the losses of each sample of a batch, over its tokens "
          "that count: -log of its likelihood. With train.micro_batch=1 and "
          "parallel.data=1; all ranks call it.")
      .def(
          "evaluate",
          [](Engine& engine, const Batch& batch) {
            return engine.Evaluate(InputOf(batch));
          },
          py::arg("batch"), kReleased,
          "The mean loss over the tokens of all ranks that count, without "
          "training. ValueError where none does.")
      .def(
          "evaluate",
          [](Engine& engine, const py::typing::Iterable<Batch>& batches) {
            train::LossSum sum;
            int64_t index = 0;
            for (const py::handle batch : batches) {
              if (!py::isinstance<Batch>(batch)) {
                throw py::type_error(absl::StrCat(
                    "Engine.evaluate: ",
                    Got(absl::StrCat("batches[", index, "]"), batch),
                    "; it takes an eisbach.Batch"));
              }
              ++index;
              const train::StepInput input = InputOf(batch.cast<Batch>());
              WithoutGil([&] { Unwrap(engine.Evaluate(input, sum)); });
            }
            return sum.Mean();
          },
          py::arg("batches"), "The same over all tokens of several batches.")
      .def(
          "logits",
          [](Engine& engine,
             const std::variant<const Variable*, Integers>& tokens) {
            const auto* given = std::get_if<const Variable*>(&tokens);
            const Tensor ids =
                given != nullptr
                    ? (*given)->value
                    : TensorFromArray(AsTokens(std::get<Integers>(tokens)),
                                      engine.context().device(),
                                      /*copy=*/true);
            return WithoutGil(
                [&] { return Variable(Unwrap(engine.Logits(ids))); });
          },
          py::arg("tokens"),
          "Logits [B, T, vocab] of tokens [B, T], integers or a Tensor of i32; "
          "on one pipeline stage.")
      .def_property_readonly("config", &Engine::config,
                             "What it was made from.")
      .def_property_readonly("context", &Engine::context,
                             "The mesh and this rank's place in it.")
      .def_property_readonly(
          "device",
          [](const Engine& e) {
            return e.context().device().shared_from_this();
          },
          "That the model lies on.")
      .def_property_readonly("samples", &Engine::samples,
                             "Of this rank in a step.")
      .def_property_readonly("micro_batches", &Engine::micro_batches,
                             "Of a step.")
      .def_property_readonly(
          "division",
          [](Engine& e) {
            return parallel::DivisionText(e.update().groups(),
                                          e.micro_batches());
          },
          "What ranks of data x context divide, in words; empty where nothing.")
      .def_property_readonly(
          "divides_tokens", &Engine::divides_tokens,
          "Whether a step divides tokens among the tensor group.")
      .def_property_readonly(
          "whole_tokens", &Engine::WholeTokensText,
          "Why a step does not, where nobody forbade it, in words; else "
          "empty.")
      .def_property_readonly(
          "context_text", &Engine::ContextText,
          "How ranks that divide rows see one another's keys, in words; empty "
          "where rows are whole.")
      .def_property_readonly(
          "layers",
          [](const Engine& e) {
            std::vector<std::pair<int64_t, int64_t>> chunks;
            for (const models::StageLayers& layers : e.layers()) {
              chunks.emplace_back(layers.first_layer, layers.end_layer);
            }
            return chunks;
          },
          "First and past-the-last layer of each of this rank's chunks.")
      .def_property(
          "steps_done", [](Engine& e) { return e.update().step(); },
          [](Engine& e, int64_t step) {
            Unwrap(SetSteps(e.update(), "steps_done", step));
          },
          "Steps done.")
      .def_property_readonly(
          "parameters", [](Engine& e) { return e.update().parameters(); },
          py::return_value_policy::reference_internal,
          "Those of this rank, in the order of forward.")
      .def(
          "refresh", [](Engine& e) { return e.update().RefreshData(); },
          kReleased,
          "Rounds the master weights to the compute type, after writing to "
          "them.")
      .def(
          "save",
          [](Engine& e, const std::filesystem::path& root,
             const JsonText& config, const JsonText& state) {
            return SaveSteps(e.saves(), root, config, state);
          },
          py::arg("root"), py::kw_only(), py::arg("config") = JsonText{"{}"},
          py::arg("state") = JsonText{"{}"}, kReleased,
          "Saves weights and optimizer as ROOT/step-N/ and returns that path. "
          "`config` is a dict, or a str of JSON, that must be the same to load "
          "it; `state` is one that load gives back, as a str of JSON. "
          "Collective.")
      .def(
          "prepare_saves",
          [](Engine& e, bool asynchronous, double bytes_per_second,
             int64_t bytes_per_file) {
            return e.saves().Prepare({.asynchronous = asynchronous,
                                      .bytes_per_second = bytes_per_second,
                                      .bytes_per_file = bytes_per_file});
          },
          py::kw_only(), py::arg("asynchronous"),
          py::arg("bytes_per_second") = 0.0,
          py::arg("bytes_per_file") = checkpoint::SaverConfig().bytes_per_file,
          kReleased,
          "How begin_save works. Asynchronous saves copy the state into host "
          "memory that is taken here and are written from there, at most "
          "`bytes_per_second` a rank (0: no limit), while training goes on. "
          "Data replicas divide files of more than `bytes_per_file`.")
      .def(
          "begin_save",
          [](Engine& e, const std::filesystem::path& root,
             const JsonText& config, const JsonText& state) {
            return e.saves().Begin({root.string(), config.text, state.text});
          },
          py::arg("root"), py::kw_only(), py::arg("config") = JsonText{"{}"},
          py::arg("state") = JsonText{"{}"}, kReleased,
          "Starts what save does in one; the result of a later step, or "
          "finish_save, says how it ended. Collective.")
      .def_property_readonly(
          "saving", [](Engine& e) { return e.saves().busy(); },
          "Whether a save was begun and nobody was told its end yet; the same "
          "on all ranks.")
      .def(
          "finish_save", [](Engine& e) { return e.saves().Finish(); },
          kReleased,
          "Waits for the end of a save that was begun; None where there is "
          "none. Collective.")
      .def_property_readonly(
          "staging_bytes", [](Engine& e) { return e.saves().staging_bytes(); },
          "Of host memory that this rank keeps for copies.")
      .def(
          "load",
          [](Engine& e, const std::filesystem::path& path,
             const JsonText& config) {
            return LoadSteps(e.update(), path, config);
          },
          py::arg("path"), py::kw_only(), py::arg("config") = JsonText{"{}"},
          kReleased,
          "Goes on from a checkpoint of any layout; returns the state "
          "that it was saved with, as a str of JSON. Collective.");
}

}  // namespace

void BindTrain(CoreModule& m) {
  BindSpikes(m);
  BindConfigs(m);
  BindPreference(m);
  BindEngineConfig(m);
  BindUpdate(m);
  BindResults(m);
  BindEngine(m);
  BindDecoder(m);
  BindReference(m);
  BindProfile(m);
  BindNetwork(m);
}

}  // namespace eisbach::bindings
