#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/products.h"
#include "bindings/recompute.h"
#include "bindings/unwrap.h"
#include "parallel/pipeline/schedule.h"
#include "plan/constraints.h"
#include "plan/layout_memory.h"
#include "plan/misfit.h"
#include "plan/search.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::Candidate;
using plan::Layout;
using plan::Misfit;
using plan::SearchOptions;
using plan::SearchResult;

namespace {

using Layers = std::variant<int64_t, std::string>;

std::optional<int64_t> LayersOf(const std::optional<Layers>& layers) {
  if (!layers) return std::nullopt;
  if (const auto* count = std::get_if<int64_t>(&*layers)) {
    if (*count >= 0) return *count;
    throw py::value_error(absl::StrCat(
        "recompute_layers=", *count,
        " must not be below 0 (train.recompute_layers); nearest that works: "
        "recompute_layers=0"));
  }
  const std::string& name = std::get<std::string>(*layers);
  if (name == "all") return models::TransformerOptions::kAllBlocks;
  throw py::value_error(
      absl::StrCat("recompute_layers=", name,
                   " is neither a number nor all (train.recompute_layers)"));
}

std::optional<nn::Recompute> RecomputeOf(
    const std::optional<std::string>& name) {
  if (!name) return std::nullopt;
  return Unwrap(RecomputeFromName(*name));
}

// Says all that is wrong with them at once.
void CheckNames(const std::optional<std::string>& schedule,
                const std::optional<std::string>& recompute) {
  std::string wrong;
  if (schedule) {
    if (const auto known = parallel::ChunksOf(*schedule); !known.ok()) {
      wrong = std::string(known.status().message());
    }
  }
  if (recompute) {
    if (const auto known = RecomputeFromName(*recompute); !known.ok()) {
      absl::StrAppend(&wrong, wrong.empty() ? "" : "; ",
                      known.status().message());
    }
  }
  if (!wrong.empty()) throw py::value_error(wrong);
}

plan::RankBy RankByFromName(const std::string& name) {
  if (name == "time") return plan::RankBy::kTime;
  if (name == "cost") return plan::RankBy::kCost;
  if (name == "energy") return plan::RankBy::kEnergy;
  throw py::value_error(
      absl::StrCat("by=", name, " is none of time, cost, energy"));
}

void BindOptions(CoreModule& m) {
  Class<SearchOptions>(m, "SearchOptions",
                       "What a search may choose, and what is best.")
      .def(py::init([](int devices, std::optional<int> data,
                       std::optional<int> tensor, std::optional<int> pipeline,
                       std::optional<int> context, std::optional<int> expert,
                       std::optional<std::string> schedule,
                       std::optional<int> chunks, std::optional<int> zero,
                       std::optional<int64_t> micro_batch,
                       const std::optional<std::string>& recompute,
                       const std::optional<Layers>& recompute_layers,
                       double memory_share, const std::string& products,
                       const std::optional<plan::Experts>& experts,
                       bool replayed, const std::string& by,
                       const std::optional<plan::RunConditions>& run,
                       double most_hours) {
             CheckNames(schedule, recompute);
             return SearchOptions{
                 .devices = devices,
                 .fixed = {.data = data,
                           .tensor = tensor,
                           .pipeline = pipeline,
                           .context = context,
                           .expert = expert,
                           .schedule = std::move(schedule),
                           .chunks = chunks,
                           .zero = zero,
                           .micro_batch = micro_batch,
                           .recompute = RecomputeOf(recompute),
                           .recompute_layers = LayersOf(recompute_layers)},
                 .play = {.products = Unwrap(ProductsFromName(products)),
                          .replayed = replayed,
                          .experts = experts.value_or(plan::Experts{})},
                 .memory_share = memory_share,
                 .ranking = {.by = RankByFromName(by),
                             .run = run.value_or(plan::RunConditions{}),
                             .most_hours = most_hours}};
           }),
           py::arg("devices"), py::kw_only(), py::arg("data") = py::none(),
           py::arg("tensor") = py::none(), py::arg("pipeline") = py::none(),
           py::arg("context") = py::none(), py::arg("expert") = py::none(),
           py::arg("schedule") = py::none(), py::arg("chunks") = py::none(),
           py::arg("zero") = py::none(), py::arg("micro_batch") = py::none(),
           py::arg("recompute") = py::none(),
           py::arg("recompute_layers") = py::none(),
           py::arg("memory_share") = 0.9, py::arg("products") = "as_is",
           py::arg("experts") = py::none(), py::arg("replayed") = true,
           py::arg("by") = "time", py::arg("run") = py::none(),
           py::arg("most_hours") = 0.0,
           "At most `devices`; what is given of a layout is not chosen "
           "(`recompute_layers`: a number, or `all`). `experts`: in place of "
           "the MLPs of what is planned, which is what `Experts.dense` gives. "
           "`by`: `time` of a step, or `cost` (device hours) or `energy` of "
           "`run`; "
           "`most_hours`: in which that has to end, 0: whenever.")
      .def_readonly("devices", &SearchOptions::devices)
      .def_readonly("memory_share", &SearchOptions::memory_share);
}

void BindConstraints(CoreModule& m) {
  m.def(
      "best_on",
      [](const train::EngineConfig& config, const plan::Hardware& hardware,
         const SearchOptions& options, const SearchResult& found, int devices) {
        return Unwrap(WithoutGil([&] {
          return plan::BestOn({config, hardware, options, found}, devices);
        }));
      },
      py::arg("config"), py::arg("hardware"), py::arg("options"),
      py::arg("found"), py::arg("devices"),
      "What a search has found, divided anew among another number of devices: "
      "the best of it; None where nothing fits. The deadline does not count. "
      "ValueError where what is given leaves no layout of so few.");
  m.def(
      "fewest_devices",
      [](const train::EngineConfig& config, const plan::Hardware& hardware,
         const SearchOptions& options, const SearchResult& found) {
        return Unwrap(WithoutGil([&] {
          return plan::FewestDevices({config, hardware, options, found});
        }));
      },
      py::arg("config"), py::arg("hardware"), py::arg("options"),
      py::arg("found"),
      "The same on the fewest devices on which the run is in time, or fits.");
  m.def("devices_of", &plan::DevicesOf, py::arg("watts"), py::arg("hardware"),
        "The most devices that a site of so many watts feeds at full load.");
  m.def(
      "layout_memory",
      [](const train::EngineConfig& config, const Candidate& candidate,
         const plan::Hardware& hardware,
         const std::optional<plan::Experts>& experts) {
        return Unwrap(WithoutGil([&] {
          return plan::MemoryOf(config, candidate, hardware,
                                experts.value_or(plan::Experts{}));
        }));
      },
      py::arg("config"), py::arg("candidate"), py::arg("hardware"),
      py::arg("experts") = py::none(),
      "What the device holds that holds most, by kinds.");
}

void BindMisfit(CoreModule& m) {
  Class<Misfit>(m, "Misfit",
                "Of a job that fits on no layout, what takes the least memory, "
                "and each way by which something would fit.")
      .def_readonly("least", &Misfit::least)
      .def_readonly("memory", &Misfit::memory, "Bytes of a device.")
      .def_readonly("devices", &Misfit::devices,
                    "So many; None: no number of them.")
      .def_readonly("context", &Misfit::context,
                    "So short rows; None: none are short enough.")
      .def_readonly("keys", &Misfit::keys,
                    "Given ones, each of which would have to be free.");
  m.def(
      "what_fits",
      [](const train::EngineConfig& config, const plan::Hardware& hardware,
         const SearchOptions& options) {
        return Unwrap(WithoutGil(
            [&] { return plan::WhatFits(config, hardware, options); }));
      },
      py::arg("config"), py::arg("hardware"), py::arg("options"),
      "What would let something fit where a search finds nothing.");
}

// Is called without the GIL.
absl::Status TellProgress(const py::function& progress, int64_t tried,
                          const Candidate* best,
                          std::optional<py::error_already_set>& raised) {
  const py::gil_scoped_acquire held;
  try {
    if (best == nullptr) {
      progress(tried, py::none());
    } else {
      progress(tried, *best);
    }
  } catch (py::error_already_set& error) {
    raised = std::move(error);
    return absl::CancelledError("progress raised");
  }
  return absl::OkStatus();
}

}  // namespace

void BindSearch(CoreModule& m) {
  Class<Layout>(m, "Layout",
                "How a job is divided among devices, and what it does to fit "
                "them.")
      .def_readonly("data", &Layout::data)
      .def_readonly("tensor", &Layout::tensor)
      .def_readonly("pipeline", &Layout::pipeline)
      .def_readonly("context", &Layout::context)
      .def_readonly("expert", &Layout::expert,
                    "Ranks that divide experts; 0: there are none.")
      .def_readonly("schedule", &Layout::schedule)
      .def_readonly("chunks", &Layout::chunks)
      .def_readonly("zero", &Layout::zero)
      .def_readonly("micro_batch", &Layout::micro_batch)
      .def_property_readonly(
          "recompute",
          [](const Layout& l) { return RecomputeName(l.recompute); })
      .def_property_readonly(
          "recompute_layers",
          [](const Layout& l) -> Layers {
            if (l.recompute_layers < 0) return "all";
            return l.recompute_layers;
          },
          "Of each stage, its first ones; `all`.")
      .def_property_readonly("devices", &Layout::devices);
  Class<Candidate>(m, "Candidate", "A layout and what a step takes on it.")
      .def_readonly("layout", &Candidate::layout)
      .def_readonly("forecast", &Candidate::forecast)
      .def_readonly("score", &Candidate::score, "What it is ranked by.");
  Class<SearchResult>(m, "SearchResult", "What a search has found.")
      .def_readonly("fitting", &SearchResult::fitting,
                    "Best first; none: all are too large.")
      .def_readonly("tried", &SearchResult::tried)
      .def_readonly("too_large", &SearchResult::too_large,
                    "Of those, for the memory.")
      .def_readonly("too_late", &SearchResult::too_late,
                    "Of those, for the deadline.")
      .def_readonly("hopeless", &SearchResult::hopeless,
                    "Not tried: at best they are far behind others.");
  BindOptions(m);
  m.def(
      "search_layouts",
      [](const train::EngineConfig& config, const plan::Hardware& hardware,
         SearchOptions options, std::optional<double> watts,
         const std::optional<py::function>& progress) {
        std::optional<py::error_already_set> raised;
        if (progress) {
          options.progress = [&](int64_t tried, const Candidate* best) {
            return TellProgress(*progress, tried, best, raised);
          };
        }
        absl::StatusOr<SearchResult> found = WithoutGil([&] {
          return watts ? plan::SearchFed(config, hardware, options, *watts)
                       : plan::Search(config, hardware, options);
        });
        if (raised) throw py::error_already_set(*std::move(raised));
        return Unwrap(std::move(found));
      },
      py::arg("config"), py::arg("hardware"), py::arg("options"), py::kw_only(),
      py::arg("watts") = py::none(), py::arg("progress") = py::none(),
      "Layouts on which a configuration trains its batch, on no more devices "
      "than a site of so many `watts` feeds. `progress` is told now and then "
      "how many were tried and which is the best so far, None at first; what "
      "it raises ends the search.");
  BindConstraints(m);
  BindMisfit(m);
}

}  // namespace eisbach::bindings
