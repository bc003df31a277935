#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/recompute.h"
#include "bindings/unwrap.h"
#include "train/engine.h"

namespace eisbach::bindings {

namespace py = pybind11;
using train::Engine;
using train::EngineConfig;
using train::UpdateConfig;

void BindEngineConfig(CoreModule& m) {
  Class<EngineConfig>(m, "EngineConfig", "A model and how it is trained.")
      .def(
          py::init([](models::ModelConfig model, UpdateConfig update,
                      int64_t global_batch, int64_t micro_batch,
                      const std::string& recompute, bool deferred_weights,
                      std::string pipeline_schedule,
                      std::vector<int> layers_per_stage, bool replays_steps,
                      bool tf32, std::optional<optim::SpikeConfig> spikes,
                      int64_t hash_every,
                      std::optional<train::PreferenceConfig> preference,
                      int chunks, std::optional<int64_t> recompute_layers,
                      std::optional<bool> sequence, float z_loss,
                      float label_smoothing, const std::string& context_method,
                      int ulysses_group, int context_neighbours) {
            return EngineConfig{
                .model = std::move(model),
                .update = std::move(update),
                .global_batch = global_batch,
                .micro_batch = micro_batch,
                .recompute = Unwrap(RecomputeFromName(recompute)),
                .deferred_weights = deferred_weights,
                .pipeline_schedule = std::move(pipeline_schedule),
                .layers_per_stage = std::move(layers_per_stage),
                .replays_steps = replays_steps,
                .tf32 = tf32,
                .spikes = spikes.value_or(optim::SpikeConfig()),
                .hash_every = hash_every,
                .preference = preference,
                .chunks = chunks,
                .recompute_layers = recompute_layers.value_or(
                    models::TransformerOptions::kAllBlocks),
                .sequence = sequence,
                .terms = {.z_loss = z_loss, .label_smoothing = label_smoothing},
                .context_method =
                    Unwrap(parallel::ParseContextMethod(context_method)),
                .ulysses_group = ulysses_group,
                .context_neighbours = context_neighbours};
          }),
          py::kw_only(), py::arg("model"), py::arg("update"),
          py::arg("global_batch"), py::arg("micro_batch"), py::arg("recompute"),
          py::arg("deferred_weights"), py::arg("pipeline_schedule"),
          py::arg("layers_per_stage"), py::arg("replays_steps") = true,
          py::arg("tf32") = false, py::arg("spikes") = py::none(),
          py::arg("hash_every") = 0, py::arg("preference") = py::none(),
          py::arg("chunks") = 0, py::arg("recompute_layers") = py::none(),
          py::arg("sequence") = py::none(), py::arg("z_loss") = 0.0,
          py::arg("label_smoothing") = 0.0, py::arg("context_method") = "auto",
          py::arg("ulysses_group") = 0, py::arg("context_neighbours") = 0)
      .def_readonly("model", &EngineConfig::model, "Its sizes.")
      .def_readonly("update", &EngineConfig::update, "How its weights change.")
      .def_readonly("global_batch", &EngineConfig::global_batch,
                    "Samples of a step, over all ranks.")
      .def_readonly("micro_batch", &EngineConfig::micro_batch,
                    "Samples that go through the model at once.")
      .def_property_readonly(
          "recompute",
          [](const EngineConfig& c) { return RecomputeName(c.recompute); },
          "What backward computes again of a block: none, selective or block.")
      .def_property_readonly(
          "recompute_layers",
          [](const EngineConfig& c) -> std::optional<int64_t> {
            if (c.recompute_layers < 0) return std::nullopt;
            return c.recompute_layers;
          },
          "In the first blocks of each stage; None: in all.")
      .def_readonly("sequence", &EngineConfig::sequence,
                    "Whether training divides tokens among a tensor group; "
                    "None: where it can.")
      .def_property_readonly(
          "z_loss", [](const EngineConfig& c) { return c.terms.z_loss; },
          "What the loss has of the square of the logits' log sum.")
      .def_property_readonly(
          "label_smoothing",
          [](const EngineConfig& c) { return c.terms.label_smoothing; },
          "Of a target, what all tokens share.")
      .def_readonly("deferred_weights", &EngineConfig::deferred_weights,
                    "Whether weight gradients are left for later.")
      .def_readonly("pipeline_schedule", &EngineConfig::pipeline_schedule,
                    "One of `schedule_names`.")
      .def_readonly("chunks", &EngineConfig::chunks,
                    "Of the model, on a stage; 0: the schedule's fewest.")
      .def_property_readonly(
          "context_method",
          [](const EngineConfig& c) {
            return std::string(parallel::Name(c.context_method));
          },
          "How ranks that divide rows see one another's keys.")
      .def_readonly("ulysses_group", &EngineConfig::ulysses_group,
                    "How many of them exchange heads; 0: as many as can.")
      .def_readonly("context_neighbours", &EngineConfig::context_neighbours,
                    "How many neighbours of them are near one another; 0: all.")
      .def_readonly("layers_per_stage", &EngineConfig::layers_per_stage,
                    "Of each stage; empty where the core divides them.")
      .def_readonly("replays_steps", &EngineConfig::replays_steps,
                    "Whether a GPU replays a step as a CUDA graph.")
      .def_readonly("tf32", &EngineConfig::tf32,
                    "Whether GPUs multiply f32 in TF32.")
      .def_readonly("spikes", &EngineConfig::spikes,
                    "Which steps are bad, and what is done then.")
      .def_readonly("hash_every", &EngineConfig::hash_every,
                    "Steps after which replicas compare their bits.")
      .def_readonly("preference", &EngineConfig::preference,
                    "How answers are preferred; None: the next token is "
                    "learned.")
      .def(
          "validate",
          [](const EngineConfig& config, const parallel::Mesh& mesh) {
            return Engine::Validate(config, mesh);
          },
          py::arg("mesh"),
          "ValueError where model, batch and mesh do not fit; allocates "
          "nothing.");
}

}  // namespace eisbach::bindings
