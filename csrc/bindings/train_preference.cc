#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "train/engine.h"
#include "train/measure_reference.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using ops::PreferenceVariant;
using train::PreferenceConfig;
using train::Rewards;

PreferenceVariant VariantFromName(const std::string& name) {
  if (name == "sigmoid") return PreferenceVariant::kSigmoid;
  if (name == "ipo") return PreferenceVariant::kIpo;
  throw py::value_error("variant=" + name +
                        " is none of sigmoid, ipo (dpo.variant)");
}

}  // namespace

void BindPreference(CoreModule& m) {
  Class<PreferenceConfig>(m, "PreferenceConfig",
                          "How a model learns which of two answers to prefer.")
      .def(py::init([](double beta, double label_smoothing,
                       const std::string& variant, bool stored_reference) {
             return PreferenceConfig{
                 .rule = {.beta = beta,
                          .label_smoothing = label_smoothing,
                          .variant = VariantFromName(variant)},
                 .stored_reference = stored_reference};
           }),
           py::kw_only(), py::arg("beta"), py::arg("label_smoothing") = 0.0,
           py::arg("variant") = "sigmoid", py::arg("stored_reference") = false,
           "`stored_reference`: batches say what the reference thinks of their "
           "pairs; else it is the model without its adapters.")
      .def_property_readonly(
          "beta", [](const PreferenceConfig& c) { return c.rule.beta; },
          "How much the reference holds.")
      .def_property_readonly(
          "label_smoothing",
          [](const PreferenceConfig& c) { return c.rule.label_smoothing; },
          "Share of the pairs that are turned round.")
      .def_property_readonly(
          "variant",
          [](const PreferenceConfig& c) {
            return c.rule.variant == PreferenceVariant::kIpo ? "ipo"
                                                             : "sigmoid";
          },
          "Which loss it is.")
      .def_readonly("stored_reference", &PreferenceConfig::stored_reference,
                    "Whether batches bring it.");

  Class<Rewards>(m, "Rewards",
                 "What a model has learned of pairs: means over those of a "
                 "global batch.")
      .def_readonly("chosen", &Rewards::chosen,
                    "beta x (log p - log p of the reference) of the answers "
                    "that were preferred.")
      .def_readonly("rejected", &Rewards::rejected, "Of the other ones.")
      .def_property_readonly("margin", &Rewards::margin, "Their difference.")
      .def_readonly("accuracy", &Rewards::accuracy,
                    "Share of the pairs whose chosen reward is the higher.");
}

void BindReference(CoreModule& m) {
  m.def(
      "measure_reference",
      [](train::Engine& engine, data::Corpus& corpus,
         const py::function& progress) {
        std::optional<py::error_already_set> raised;
        const auto show = [&](int64_t done, int64_t all) -> absl::Status {
          const py::gil_scoped_acquire held;
          try {
            progress(done, all);
          } catch (py::error_already_set& error) {
            raised = std::move(error);
            return absl::CancelledError("progress raised");
          }
          return absl::OkStatus();
        };
        absl::StatusOr<data::PairReference> reference = WithoutGil(
            [&] { return train::MeasureReference(engine, corpus, show); });
        if (raised) throw std::move(*raised);
        Unwrap(corpus.SetReference(Unwrap(std::move(reference))));
      },
      py::arg("engine"), py::arg("corpus"), py::arg("progress"),
      "Measures what the model as it is thinks of all pairs of a corpus, which "
      "come with its samples from then on; before a DataLoader reads it. "
      "`progress` is told pairs done and all. Collective.");
}

}  // namespace eisbach::bindings
