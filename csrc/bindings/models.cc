#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "models/config.h"

namespace eisbach::bindings {

namespace py = pybind11;
using models::ModelConfig;

namespace {

// A family that is not known is no missing file.
absl::Status Checked(const absl::Status& status) {
  if (!absl::IsNotFound(status)) return status;
  return absl::InvalidArgumentError(status.message());
}

}  // namespace

void BindModels(CoreModule& m) {
  Class<ModelConfig>(m, "ModelConfig",
                     "The sizes of a decoder-only transformer.")
      .def(
          py::init([](std::string family, int64_t layers, int64_t hidden,
                      int64_t heads, int64_t kv_heads, int64_t ffn_hidden,
                      int64_t context, int64_t vocab, double dropout,
                      bool tie_embeddings, double norm_eps, double rope_theta) {
            ModelConfig config{.family = std::move(family),
                               .layers = layers,
                               .hidden = hidden,
                               .heads = heads,
                               .kv_heads = kv_heads,
                               .ffn_hidden = ffn_hidden,
                               .context = context,
                               .vocab = vocab,
                               .dropout = dropout,
                               .tie_embeddings = tie_embeddings,
                               .norm_eps = norm_eps,
                               .rope_theta = rope_theta};
            Unwrap(Checked(models::Validate(config)));
            return config;
          }),
          py::kw_only(), py::arg("family"), py::arg("layers"),
          py::arg("hidden"), py::arg("heads"), py::arg("kv_heads"),
          py::arg("ffn_hidden"), py::arg("context"), py::arg("vocab"),
          py::arg("dropout"), py::arg("tie_embeddings"), py::arg("norm_eps"),
          py::arg("rope_theta"))
      .def_readonly("family", &ModelConfig::family, "`gpt` or `llama`.")
      .def_readonly("layers", &ModelConfig::layers, "Blocks.")
      .def_readonly("hidden", &ModelConfig::hidden,
                    "Width of the residual stream.")
      .def_readonly("heads", &ModelConfig::heads, "Of queries.")
      .def_readonly("kv_heads", &ModelConfig::kv_heads, "Of keys and values.")
      .def_readonly("ffn_hidden", &ModelConfig::ffn_hidden,
                    "Width inside the MLP.")
      .def_readonly("context", &ModelConfig::context, "Tokens in a sequence.")
      .def_readonly("vocab", &ModelConfig::vocab,
                    "Rows of the token embedding, without padding.")
      .def_readonly("dropout", &ModelConfig::dropout,
                    "Share of the residual branches' outputs that is dropped.")
      .def_readonly("tie_embeddings", &ModelConfig::tie_embeddings,
                    "Whether the head is the token embedding.")
      .def_readonly("norm_eps", &ModelConfig::norm_eps,
                    "Added to the variance in each norm.")
      .def_readonly("rope_theta", &ModelConfig::rope_theta,
                    "Base of the rotary frequencies.")
      .def_property_readonly("parameters", &models::ParameterCount,
                             "Trained numbers, tied tables once.")
      .def_property_readonly(
          "flops_per_token", &models::TrainingFlopsPerToken,
          "Floating-point operations that training on a token needs.");
}

}  // namespace eisbach::bindings
