#include <optional>
#include <string>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/products.h"
#include "bindings/recompute.h"
#include "bindings/unwrap.h"
#include "parallel/pipeline/schedule.h"
#include "plan/search.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::Candidate;
using plan::Layout;
using plan::SearchResult;

namespace {

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

}  // namespace

void BindSearch(CoreModule& m) {
  Class<Layout>(m, "Layout",
                "How a job is divided among devices, and what it does to fit "
                "them.")
      .def_readonly("data", &Layout::data)
      .def_readonly("tensor", &Layout::tensor)
      .def_readonly("pipeline", &Layout::pipeline)
      .def_readonly("context", &Layout::context)
      .def_readonly("schedule", &Layout::schedule)
      .def_readonly("chunks", &Layout::chunks)
      .def_readonly("zero", &Layout::zero)
      .def_readonly("micro_batch", &Layout::micro_batch)
      .def_property_readonly(
          "recompute",
          [](const Layout& l) { return RecomputeName(l.recompute); })
      .def_property_readonly("devices", &Layout::devices);
  Class<Candidate>(m, "Candidate", "A layout and what a step takes on it.")
      .def_readonly("layout", &Candidate::layout)
      .def_readonly("forecast", &Candidate::forecast);
  Class<SearchResult>(m, "SearchResult", "What a search has found.")
      .def_readonly("fitting", &SearchResult::fitting, "Quickest first.")
      .def_readonly("smallest", &SearchResult::smallest,
                    "Where nothing fits, what took the least memory.")
      .def_readonly("least_memory", &SearchResult::least_memory,
                    "Bytes that the smallest of those takes at least that need "
                    "no look; 0: none.")
      .def_readonly("tried", &SearchResult::tried)
      .def_readonly("too_large", &SearchResult::too_large,
                    "Of those, for the memory.")
      .def_readonly("hopeless", &SearchResult::hopeless,
                    "Not tried: at best they are far behind others.");
  m.def(
      "search_layouts",
      [](const train::EngineConfig& config, const plan::Hardware& hardware,
         int devices, std::optional<int> data, std::optional<int> tensor,
         std::optional<int> pipeline, std::optional<int> context,
         std::optional<std::string> schedule, std::optional<int> chunks,
         std::optional<int> zero, std::optional<int64_t> micro_batch,
         const std::optional<std::string>& recompute, double memory_share,
         const std::string& products, bool replayed) {
        CheckNames(schedule, recompute);
        plan::SearchOptions options{
            .devices = devices,
            .fixed = {.data = data,
                      .tensor = tensor,
                      .pipeline = pipeline,
                      .context = context,
                      .schedule = std::move(schedule),
                      .chunks = chunks,
                      .zero = zero,
                      .micro_batch = micro_batch,
                      .recompute = RecomputeOf(recompute)},
            .play = {.products = Unwrap(ProductsFromName(products)),
                     .replayed = replayed},
            .memory_share = memory_share};
        return Unwrap(WithoutGil(
            [&] { return plan::Search(config, hardware, options); }));
      },
      py::arg("config"), py::arg("hardware"), py::arg("devices"), py::kw_only(),
      py::arg("data") = py::none(), py::arg("tensor") = py::none(),
      py::arg("pipeline") = py::none(), py::arg("context") = py::none(),
      py::arg("schedule") = py::none(), py::arg("chunks") = py::none(),
      py::arg("zero") = py::none(), py::arg("micro_batch") = py::none(),
      py::arg("recompute") = py::none(), py::arg("memory_share") = 0.9,
      py::arg("products") = "as_is", py::arg("replayed") = true,
      "Layouts of at most `devices` on which a configuration trains its batch; "
      "what is given is not chosen.");
}

}  // namespace eisbach::bindings
