#include <memory>
#include <optional>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/names.h"
#include "core/status_macros.h"
#include "models/decoder.h"
#include "train/engine.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using models::Continuation;
using models::Decoder;
using models::TextEnd;
using train::Engine;

constexpr Named<TextEnd> kTextEnds[] = {{"tokens", TextEnd::kTokens},
                                        {"stop", TextEnd::kStop},
                                        {"context", TextEnd::kContext},
                                        {"caller", TextEnd::kCaller}};

// A decoder of an engine's model, which forgets when that is trained.
class EngineDecoder {
 public:
  explicit EngineDecoder(Engine& engine)
      : engine_(engine), step_(engine.update().step()) {
    decoder_ = Unwrap(Decoder::Make(engine.model(), engine.shape(),
                                    engine.config().update.compute_dtype,
                                    engine.context()));
  }

  absl::StatusOr<std::vector<Continuation>> Generate(
      absl::Span<const std::vector<int32_t>> prompts,
      const models::GenerateOptions& options,
      const models::TokenCallback& on_token) {
    EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, engine_.Enter());
    if (step_ != engine_.update().step()) Forget();
    return models::Generate(*decoder_, prompts, options, on_token);
  }
  void Forget() {
    decoder_->Forget();
    step_ = engine_.update().step();
  }
  int64_t cache_bytes() const { return decoder_->cache_bytes(); }

 private:
  Engine& engine_;
  int64_t step_;  // of the weights that the cache is of
  std::unique_ptr<Decoder> decoder_;
};

// `on_token` is called with the GIL; what it raises ends the generation.
std::vector<Continuation> Generate(
    EngineDecoder& decoder, const std::vector<std::vector<int32_t>>& prompts,
    int64_t tokens, double temperature, int64_t top_k, double top_p,
    double min_p, double repetition_penalty, uint64_t seed,
    int64_t first_prompt, std::vector<int32_t> stops,
    const std::optional<py::function>& on_token) {
  std::optional<py::error_already_set> raised;
  models::TokenCallback callback;
  if (on_token.has_value()) {
    callback = [&](int64_t prompt, int32_t token) -> absl::StatusOr<bool> {
      py::gil_scoped_acquire acquire;
      try {
        const py::object more = (*on_token)(prompt, token);
        return more.is_none() || PyObject_IsTrue(more.ptr()) == 1;
      } catch (py::error_already_set& error) {
        raised = std::move(error);
        return absl::CancelledError("on_token raised");
      }
    };
  }
  absl::StatusOr<std::vector<Continuation>> made = WithoutGil([&] {
    return decoder.Generate(
        prompts,
        {.tokens = tokens,
         .stops = std::move(stops),
         .first_prompt = first_prompt,
         .sampling = {.repetition_penalty = repetition_penalty,
                      .temperature = temperature,
                      .top_k = top_k,
                      .top_p = top_p,
                      .min_p = min_p,
                      .seed = seed}},
        callback);
  });
  if (raised) throw py::error_already_set(*std::move(raised));
  return Unwrap(std::move(made));
}

}  // namespace

void BindDecoder(CoreModule& m) {
  Class<Continuation>(m, "Continuation", "What follows a prompt.")
      .def_readonly("tokens", &Continuation::tokens,
                    "Ids, without the one that stopped the text.")
      .def_property_readonly(
          "end", [](const Continuation& c) { return NameOf(kTextEnds, c.end); },
          "Why it ends: `tokens` (so many were asked for), `stop` (a token of "
          "`stops` was drawn), `context` (it is full), `caller` (on_token "
          "returned False).");
  Class<EngineDecoder>(
      m, "Decoder",
      "Draws texts from an engine's model, and keeps keys and values, so that "
      "each token is computed once.")
      .def(py::init([](Engine& engine) {
             return std::make_unique<EngineDecoder>(engine);
           }),
           py::arg("engine"), py::keep_alive<1, 2>())
      .def("generate", &Generate, py::arg("prompts"), py::kw_only(),
           py::arg("tokens"), py::arg("temperature") = 1.0,
           py::arg("top_k") = 0, py::arg("top_p") = 1.0, py::arg("min_p") = 0.0,
           py::arg("repetition_penalty") = 1.0, py::arg("seed") = 0,
           py::arg("first_prompt") = 0,
           py::arg("stops") = std::vector<int32_t>(),
           py::arg("on_token") = py::none(),
           "Continues each list of token ids by at most `tokens`; returns a "
           "Continuation each. Temperature 0 takes the likeliest token. A "
           "draw depends on the seed, the prompt's index, counted from "
           "first_prompt, and the token's. "
           "on_token(prompt, token) is called with each token; False ends that "
           "text. A text ends where model.context tokens are full. What the "
           "last call left of a prompt's beginning is not computed again. All "
           "ranks call it.")
      .def("forget", &EngineDecoder::Forget,
           "Before the next call where weights were set since the last one; a "
           "training step is noticed.")
      .def_property_readonly("cache_bytes", &EngineDecoder::cache_bytes,
                             "Of keys and values on this rank.");
}

}  // namespace eisbach::bindings
