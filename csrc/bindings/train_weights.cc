#include "bindings/train_weights.h"

#include <map>
#include <string>
#include <vector>

#include "bindings/casters.h"
#include "bindings/logical.h"
#include "bindings/numpy.h"
#include "checkpoint/foreign_weights.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using train::Engine;

// All but the base of adapters.
std::vector<Parameter*> WithoutBase(absl::Span<Parameter* const> parameters) {
  std::vector<Parameter*> left;
  for (Parameter* parameter : parameters) {
    if (parameter->spec().role != AdapterRole::kBase) left.push_back(parameter);
  }
  return left;
}

}  // namespace

void BindWeights(Class<Engine>& engine) {
  constexpr auto kReleased = py::call_guard<py::gil_scoped_release>();
  engine
      .def(
          "gather",
          [](Engine& e, const std::string& value, bool copy, bool adapter) {
            const std::vector<Parameter*>& all = e.update().parameters();
            return GatherArrays(adapter ? WithoutBase(all) : all, value, copy,
                                e.context());
          },
          py::arg("value") = "master", py::kw_only(), py::arg("copy") = true,
          py::arg("adapter") = false,
          "Whole parameters (or gradients, by `grad`, in f16 times the loss "
          "scale) by logical name, on rank 0; empty on the others. With "
          "copy=False arrays are read-only, and "
          "those that rank 0 holds whole show its weights, which change with "
          "the next step. With adapter=True without the base of adapters. "
          "Collective.")
      .def(
          "merge_adapters",
          [](Engine& e) {
            return e.model().MergeAdapters(
                e.context().device().compute_stream());
          },
          kReleased,
          "Makes the adapters part of the weights, in f32, and ineffective "
          "themselves. RuntimeError where weights are kept in another type.")
      .def(
          "scatter",
          [](Engine& e, const std::map<std::string, py::array>& arrays) {
            WithoutGil([&] { Unwrap(e.update().WaitForWeights()); });
            ScatterArrays(e.update().parameters(), arrays, e.context());
            WithoutGil([&] { Unwrap(e.update().RefreshData()); });
          },
          py::arg("arrays"),
          "Sets this rank's weights from whole arrays by logical name: all of "
          "the model's, of fractions that are finite. Collective.")
      .def(
          "load_foreign",
          [](Engine& e, const checkpoint::ForeignTensors& tensors) {
            Unwrap(e.update().WaitForWeights());
            Unwrap(checkpoint::LoadForeignWeights(
                tensors, e.update().parameters(), e.context()));
            Unwrap(e.update().RefreshData());
          },
          py::arg("tensors"), kReleased,
          "Sets this rank's weights from files of others, by logical name; "
          "each rank reads its own part. Adapters of which nothing is said "
          "stay as they are. Collective.");
}

}  // namespace eisbach::bindings
