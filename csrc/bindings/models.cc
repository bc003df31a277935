#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/names.h"
#include "models/config.h"

namespace eisbach::bindings {

namespace py = pybind11;
using models::Adapter;
using models::Architecture;
using models::ModelConfig;
using models::NormPlacement;
using models::QkNorm;
using ops::RopeOptions;
using ops::RopeScaling;

namespace {

// A family that is not known is no missing file.
absl::Status Checked(const absl::Status& status) {
  if (!absl::IsNotFound(status)) return status;
  return absl::InvalidArgumentError(status.message());
}

Architecture FamilyOf(const std::string& name) {
  absl::StatusOr<Architecture> found = models::FindFamily(name);
  Unwrap(Checked(found.status()));
  return *std::move(found);
}

constexpr Named<NormPlacement> kNormPlacements[] = {
    {"pre", NormPlacement::kPre},
    {"post", NormPlacement::kPost},
    {"both", NormPlacement::kBoth}};
constexpr Named<nn::Activation> kActivations[] = {
    {"gelu", nn::Activation::kGelu},
    {"swiglu", nn::Activation::kSwiglu},
    {"geglu", nn::Activation::kGeglu},
    {"xielu", nn::Activation::kXielu}};
constexpr Named<QkNorm> kQkNorms[] = {
    {"none", QkNorm::kNone}, {"head", QkNorm::kHead}, {"full", QkNorm::kFull}};
constexpr Named<RopeScaling> kRopeScalings[] = {
    {"none", RopeScaling::kNone},
    {"linear", RopeScaling::kLinear},
    {"llama3", RopeScaling::kLlama3},
    {"yarn", RopeScaling::kYarn},
    {"longrope", RopeScaling::kLongRope}};

void SetPlusOne(Architecture& architecture, bool plus_one) {
  if (architecture.norm == ops::NormKind::kLayer) {
    if (!plus_one) return;
    throw py::value_error(
        "model.norm_plus_one=true: layer norms have no such weights; nearest "
        "that works: false");
  }
  architecture.norm =
      plus_one ? ops::NormKind::kRmsPlusOne : ops::NormKind::kRms;
}

void BindArchitecture(CoreModule& m) {
  Class<Architecture>(m, "Architecture",
                      "What tells a family of models from another.")
      .def(py::init(&FamilyOf), py::arg("family"))
      .def_property_readonly(
          "norm_placement",
          [](const Architecture& a) {
            return NameOf(kNormPlacements, a.norm_placement);
          },
          "`pre`, `post` or `both`.")
      .def_property_readonly("norm_plus_one", &Architecture::norm_plus_one,
                             "Whether norms multiply by 1 + their weight.")
      .def_property_readonly(
          "activation",
          [](const Architecture& a) {
            return NameOf(kActivations, a.activation);
          },
          "`gelu`, `swiglu`, `geglu` or `xielu`.")
      .def_readonly("scale_embedding", &Architecture::scale_embedding,
                    "Whether embeddings are multiplied by sqrt(hidden).")
      .def_readonly("window_rope_theta", &Architecture::window_rope_theta,
                    "Base of rotary positions in layers with a window.")
      .def_readonly("qkv_bias", &Architecture::qkv_bias,
                    "Whether query, key and value have one.")
      .def_readonly("output_bias", &Architecture::output_bias,
                    "Whether the projection behind attention has one.")
      .def_readonly("mlp_bias", &Architecture::mlp_bias,
                    "Whether the linear layers of the MLP have one.")
      .def_property_readonly(
          "qk_norm",
          [](const Architecture& a) { return NameOf(kQkNorms, a.qk_norm); },
          "`none`, `head` or `full`.")
      .def_property_readonly("adapter_targets", &models::AdapterTargets,
                             "The projections that may have an adapter.")
      .def_readonly("rotary", &Architecture::rotary,
                    "Whether positions are rotations; else a table.")
      .def_readonly("rope", &Architecture::rope, "How fast positions turn.")
      .def_readonly("no_rope_every", &Architecture::no_rope_every,
                    "One layer in so many has no rotary positions.")
      .def_readonly("window", &Architecture::window,
                    "Keys that a query sees in layers with a window; 0: all.")
      .def_readonly("window_from", &Architecture::window_from,
                    "The first layer with a window.")
      .def_readonly("window_full_every", &Architecture::window_full_every,
                    "One layer in so many has no window.")
      .def_readonly("attention_scale", &Architecture::attention_scale,
                    "Of scores; 0: 1 / sqrt(head_dim).")
      .def_readonly("attention_cap", &Architecture::attention_cap,
                    "That bounds scores; 0: none.")
      .def_readonly("final_cap", &Architecture::final_cap,
                    "That bounds logits; 0: none.")
      .def_property_readonly("gated", &Architecture::gated,
                             "Whether the MLP has a gate.");
  m.def("model_families", &models::FamilyNames, "The names of all families.");
}

void BindRope(CoreModule& m) {
  Class<RopeOptions>(m, "RopeOptions", "Frequencies of rotary positions.")
      .def(py::init([](double theta, const std::string& scaling, double factor,
                       int64_t original_context, double low_frequency,
                       double high_frequency, double beta_slow,
                       double beta_fast, double attention_factor,
                       double fraction, std::vector<double> short_factors,
                       std::vector<double> long_factors) {
             RopeOptions options{
                 .theta = theta,
                 .fraction = fraction,
                 .scaling = Parse(kRopeScalings, "rope_scaling", scaling),
                 .factor = factor,
                 .original_context = original_context,
                 .low_frequency = low_frequency,
                 .high_frequency = high_frequency,
                 .beta_slow = beta_slow,
                 .beta_fast = beta_fast,
                 .attention_factor = attention_factor,
                 .short_factors = std::move(short_factors),
                 .long_factors = std::move(long_factors)};
             Unwrap(ops::CheckRope(options));
             return options;
           }),
           py::arg("theta"), py::kw_only(), py::arg("scaling") = "none",
           py::arg("factor") = 1.0, py::arg("original_context") = 0,
           py::arg("low_frequency") = 1.0, py::arg("high_frequency") = 4.0,
           py::arg("beta_slow") = 1.0, py::arg("beta_fast") = 32.0,
           py::arg("attention_factor") = 0.0, py::arg("fraction") = 1.0,
           py::arg("short_factors") = std::vector<double>(),
           py::arg("long_factors") = std::vector<double>())
      .def_readonly("theta", &RopeOptions::theta, "Base of the frequencies.")
      .def_property_readonly(
          "scaling",
          [](const RopeOptions& o) { return NameOf(kRopeScalings, o.scaling); },
          "`none`, `linear`, `llama3`, `yarn` or `longrope`.")
      .def_readonly("fraction", &RopeOptions::fraction,
                    "Of the numbers of a head, that are rotated.")
      .def_readonly("factor", &RopeOptions::factor,
                    "How many times longer the context is.")
      .def_readonly("original_context", &RopeOptions::original_context,
                    "Tokens of the first training's context.")
      .def_readonly("low_frequency", &RopeOptions::low_frequency,
                    "Turns of slow pairs, of llama3.")
      .def_readonly("high_frequency", &RopeOptions::high_frequency,
                    "Turns of fast pairs, of llama3.")
      .def_readonly("beta_slow", &RopeOptions::beta_slow,
                    "Turns of slow pairs, of yarn.")
      .def_readonly("beta_fast", &RopeOptions::beta_fast,
                    "Turns of fast pairs, of yarn.")
      .def_readonly("attention_factor", &RopeOptions::attention_factor,
                    "Of yarn and longrope; 0 for what `factor` says.")
      .def_readonly("short_factors", &RopeOptions::short_factors,
                    "Of longrope, inside the original context.")
      .def_readonly("long_factors", &RopeOptions::long_factors,
                    "Of longrope, past the original context.")
      .def("frequencies", &ops::RopeFrequencies, py::arg("head_dim"),
           py::arg("context"),
           "Radians a position, of each rotated pair of a head.");
}

void BindAdapter(CoreModule& m) {
  Class<Adapter>(m, "Adapter",
                 "Low-rank adapters beside linear layers that stay as they "
                 "are.")
      .def(py::init([](int64_t rank, double alpha, double dropout, bool rslora,
                       std::vector<std::string> targets,
                       std::vector<std::string> modules_to_save,
                       std::vector<int64_t> tokens) {
             return Adapter{.rank = rank,
                            .alpha = alpha,
                            .dropout = dropout,
                            .rslora = rslora,
                            .targets = std::move(targets),
                            .saved = std::move(modules_to_save),
                            .tokens = std::move(tokens)};
           }),
           py::arg("rank"), py::kw_only(), py::arg("alpha") = 0.0,
           py::arg("dropout") = 0.0, py::arg("rslora") = false,
           py::arg("targets") = std::vector<std::string>(),
           py::arg("modules_to_save") = std::vector<std::string>(),
           py::arg("tokens") = std::vector<int64_t>())
      .def_readonly("rank", &Adapter::rank, "Rows of A; 0: there are none.")
      .def_readonly("alpha", &Adapter::alpha,
                    "The scale times rank, or times its root with rslora.")
      .def_readonly("dropout", &Adapter::dropout,
                    "Share of what A takes that is dropped.")
      .def_readonly("rslora", &Adapter::rslora,
                    "Whether the scale falls with the root of rank.")
      .def_readonly("targets", &Adapter::targets,
                    "Projections that have one; empty for all.")
      .def_readonly("modules_to_save", &Adapter::saved,
                    "Tables that train as well.")
      .def_readonly("tokens", &Adapter::tokens,
                    "Ids of which rows of the other tables train.")
      .def_property_readonly("scale", &Adapter::Scale,
                             "What the product of A and B is multiplied by.");
}

}  // namespace

void BindModels(CoreModule& m) {
  BindRope(m);
  BindAdapter(m);
  BindArchitecture(m);
  Class<ModelConfig>(m, "ModelConfig", "A decoder-only transformer.")
      .def(py::init([](std::string family, int64_t layers, int64_t hidden,
                       int64_t heads, int64_t kv_heads,
                       std::optional<int64_t> head_dim, int64_t ffn_hidden,
                       int64_t context, int64_t vocab, double dropout,
                       bool tie_embeddings, double norm_eps, bool qkv_bias,
                       bool output_bias, bool mlp_bias,
                       const std::string& qk_norm, const RopeOptions& rope,
                       int64_t no_rope_every,
                       const std::optional<Adapter>& adapter, int64_t window,
                       int64_t window_from, int64_t window_full_every,
                       double attention_scale, double attention_cap,
                       double final_cap, const std::string& norm_placement,
                       bool norm_plus_one, const std::string& activation,
                       bool scale_embedding, double window_rope_theta) {
             if (!head_dim) {
               head_dim = Unwrap(models::DefaultHeadDim(hidden, heads));
             }
             Architecture architecture = FamilyOf(family);
             architecture.qkv_bias = qkv_bias;
             architecture.output_bias = output_bias;
             architecture.mlp_bias = mlp_bias;
             architecture.qk_norm = Parse(kQkNorms, "qk_norm", qk_norm);
             architecture.rope = rope;
             architecture.no_rope_every = no_rope_every;
             architecture.window = window;
             architecture.window_from = window_from;
             architecture.window_full_every = window_full_every;
             architecture.attention_scale = attention_scale;
             architecture.attention_cap = attention_cap;
             architecture.final_cap = final_cap;
             architecture.norm_placement =
                 Parse(kNormPlacements, "norm_placement", norm_placement);
             SetPlusOne(architecture, norm_plus_one);
             architecture.activation =
                 Parse(kActivations, "activation", activation);
             architecture.scale_embedding = scale_embedding;
             architecture.window_rope_theta = window_rope_theta;
             ModelConfig config{.family = std::move(family),
                                .architecture = architecture,
                                .layers = layers,
                                .hidden = hidden,
                                .heads = heads,
                                .kv_heads = kv_heads,
                                .head_dim = *head_dim,
                                .ffn_hidden = ffn_hidden,
                                .context = context,
                                .vocab = vocab,
                                .dropout = dropout,
                                .tie_embeddings = tie_embeddings,
                                .norm_eps = norm_eps,
                                .adapter = adapter.value_or(Adapter())};
             Unwrap(Checked(models::Validate(config)));
             return config;
           }),
           py::kw_only(), py::arg("family"), py::arg("layers"),
           py::arg("hidden"), py::arg("heads"), py::arg("kv_heads"),
           py::arg("head_dim"), py::arg("ffn_hidden"), py::arg("context"),
           py::arg("vocab"), py::arg("dropout"), py::arg("tie_embeddings"),
           py::arg("norm_eps"), py::arg("qkv_bias"), py::arg("output_bias"),
           py::arg("mlp_bias"), py::arg("qk_norm"), py::arg("rope"),
           py::arg("no_rope_every"), py::arg("adapter") = py::none(),
           py::arg("window") = 0, py::arg("window_from") = 0,
           py::arg("window_full_every") = 0, py::arg("attention_scale") = 0.0,
           py::arg("attention_cap") = 0.0, py::arg("final_cap") = 0.0,
           py::arg("norm_placement"), py::arg("norm_plus_one"),
           py::arg("activation"), py::arg("scale_embedding"),
           py::arg("window_rope_theta") = 0.0)
      .def_readonly("family", &ModelConfig::family,
                    "The family whose choices it started from.")
      .def_readonly("architecture", &ModelConfig::architecture, "Its choices.")
      .def_readonly("layers", &ModelConfig::layers, "Blocks.")
      .def_readonly("hidden", &ModelConfig::hidden,
                    "Width of the residual stream.")
      .def_readonly("heads", &ModelConfig::heads, "Of queries.")
      .def_readonly("kv_heads", &ModelConfig::kv_heads, "Of keys and values.")
      .def_readonly("head_dim", &ModelConfig::head_dim, "Width of a head.")
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
      .def_readonly("adapter", &ModelConfig::adapter,
                    "What is trained beside it.")
      .def_property_readonly("parameters", &models::ParameterCount,
                             "Numbers of the model, tied tables once.")
      .def_property_readonly("trained_parameters",
                             &models::TrainedParameterCount,
                             "Those that train, of adapters where there are "
                             "some; groups of the optimizer do not count.")
      .def_property_readonly(
          "flops_per_token", &models::TrainingFlopsPerToken,
          "Floating-point operations that training on a token needs.");
}

}  // namespace eisbach::bindings
