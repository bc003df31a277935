#include <optional>
#include <string>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/device_type.h"
#include "bindings/products.h"
#include "bindings/unwrap.h"
#include "plan/estimate.h"
#include "plan/forecast.h"
#include "plan/recompute_layers.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::Busy;
using plan::Forecast;
using plan::RankMemory;
using plan::RecordedStep;
using plan::StageForecast;

namespace {

void BindForecast(CoreModule& m) {
  Class<Busy>(m, "Busy", "Seconds of a step by what they go to.")
      .def_readonly("products", &Busy::products, "Matrix products.")
      .def_readonly("attention", &Busy::attention)
      .def_readonly("other_ops", &Busy::other_ops)
      .def_readonly("communication", &Busy::communication,
                    "In which nothing is computed.")
      .def_readonly("gaps", &Busy::gaps, "The host has given nothing.");
  Class<StageForecast>(m, "StageForecast",
                       "What a step takes of the devices of a pipeline stage.")
      .def_readonly("forward", &StageForecast::forward,
                    "Seconds of a micro-batch.")
      .def_readonly("backward", &StageForecast::backward)
      .def_readonly("once", &StageForecast::once,
                    "Seconds beside the micro-batches.")
      .def_readonly("busy", &StageForecast::busy)
      .def_readonly("memory", &StageForecast::memory, "Bytes at the most.");
  Class<Forecast>(m, "Forecast", "What a step takes on a machine.")
      .def_readonly("seconds", &Forecast::seconds)
      .def_readonly("bubble", &Forecast::bubble,
                    "Share in which stages wait for one another.")
      .def_readonly("tokens_per_second", &Forecast::tokens_per_second,
                    "Of all devices.")
      .def_readonly("flops", &Forecast::flops, "Of a device.")
      .def_readonly("micro_batches", &Forecast::micro_batches)
      .def_readonly("stages", &Forecast::stages)
      .def_property_readonly("memory", &Forecast::memory)
      .def_property_readonly("busy", &Forecast::busy);
  Class<RecordedStep>(m, "RecordedStep",
                      "What the devices of a layout are given in a step: the "
                      "real Engine of a rank of each stage that differs runs "
                      "on the meta device.")
      .def(py::init([](const train::EngineConfig& config,
                       const parallel::Mesh& mesh, const std::string& device,
                       const std::optional<plan::Experts>& experts) {
             const DeviceType type = Unwrap(ParseDeviceType(device));
             return Unwrap(WithoutGil([&] {
               return RecordedStep::Make(config, mesh, type,
                                         experts.value_or(plan::Experts{}));
             }));
           }),
           py::arg("config"), py::arg("mesh"), py::kw_only(), py::arg("device"),
           py::arg("experts") = py::none(),
           "`device`: whose program it is, and whose kernels' workspaces count "
           "in its memory. `experts`: in place of the MLPs of `config`, which "
           "is what `Experts.dense` gives.")
      .def(
          "on",
          [](const RecordedStep& step, const plan::Hardware& hardware,
             const std::string& products, bool replayed, bool plain_attention,
             bool plain_loss) {
            const plan::ProductType type = Unwrap(ProductsFromName(products));
            return Unwrap(WithoutGil([&] {
              return step.On(hardware,
                             {.products = type,
                              .replayed = replayed,
                              .unfused = {plain_attention, plain_loss}});
            }));
          },
          py::arg("hardware"), py::kw_only(), py::arg("products") = "as_is",
          py::arg("replayed") = true, py::arg("plain_attention") = false,
          py::arg("plain_loss") = false,
          "Plays it on a machine. `products`: what linear layers multiply in, "
          "`as_is`, `f8` or `f4`; `replayed`: the host does not count; "
          "`plain_attention`: scores go through memory, as in programs without "
          "a fused kernel; `plain_loss`: so do f32 logits.");
}

void BindRankMemory(CoreModule& m) {
  Class<RankMemory>(m, "RankMemory",
                    "Bytes of a rank's device memory, by what they hold.")
      .def_readonly("parameters", &RankMemory::parameters,
                    "Numbers, not bytes, that this rank holds.")
      .def_readonly("weights", &RankMemory::weights, "In the compute type.")
      .def_readonly("masters", &RankMemory::masters,
                    "f32; 0 where the weights themselves are.")
      .def_readonly("gradients", &RankMemory::gradients)
      .def_readonly("optimizer", &RankMemory::optimizer)
      .def_readonly("activations", &RankMemory::activations,
                    "What a step adds at the moment when it holds most.")
      .def_readonly("other", &RankMemory::other)
      .def_readonly("saving", &RankMemory::saving,
                    "Of host memory, for checkpoints that are written while "
                    "training goes on; not in the peak.")
      .def_property_readonly("peak", &RankMemory::peak, "The sum.");
}

}  // namespace

void BindPlan(CoreModule& m) {
  BindHardware(m);
  BindExperts(m);
  BindRankMemory(m);
  BindForecast(m);
  BindRunCost(m);
  BindSearch(m);
  BindMeasure(m);
  BindTimeline(m);
  m.def(
      "estimate_memory",
      [](const train::EngineConfig& config, const parallel::Mesh& mesh,
         int rank, const std::string& device) {
        const DeviceType type = Unwrap(ParseDeviceType(device));
        return Unwrap(WithoutGil(
            [&] { return plan::EstimateMemory(config, mesh, rank, type); }));
      },
      py::arg("config"), py::arg("mesh"), py::arg("rank"), py::kw_only(),
      py::arg("device") = "meta",
      "The memory of tensors that a rank of `mesh` takes to train: one step of "
      "the real Engine on the meta device, where nothing is allocated. "
      "`device`: whose kernels' workspaces count; of meta there are none.");
  m.def(
      "fewest_recomputed",
      [](const train::EngineConfig& config, const parallel::Mesh& mesh,
         int64_t memory, bool copies, const std::string& device) {
        const plan::MemoryLimit limit{
            .bytes = memory,
            .copies = copies,
            .device = Unwrap(ParseDeviceType(device))};
        return Unwrap(WithoutGil(
            [&] { return plan::FewestRecomputed(config, mesh, limit); }));
      },
      py::arg("config"), py::arg("mesh"), py::kw_only(), py::arg("memory"),
      py::arg("copies"), py::arg("device") = "meta",
      "The fewest blocks of each stage that must be recomputed so that no rank "
      "takes more than `memory` bytes for tensors, and for `copies` that "
      "checkpoints are written from where they lie there too. ValueError where "
      "none are enough.");
}

}  // namespace eisbach::bindings
