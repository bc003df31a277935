#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/pipeline.h"
#include "parallel/context.h"
#include "parallel/mesh.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using parallel::AxisSet;
using parallel::Mesh;
using parallel::ParallelContext;

Axis ParseAxis(const std::string& name) {
  for (int i = 0; i < kNumAxes; ++i) {
    const auto axis = static_cast<Axis>(i);
    if (name == std::string(Name(axis))) return axis;
  }
  throw py::value_error("axis=" + name +
                        " is none of pipeline, data, context, tensor");
}

}  // namespace

void BindParallel(CoreModule& m) {
  Class<Mesh>(m, "Mesh", "Ranks laid out along named axes.")
      .def(py::init([](int world_size, int data, int tensor, int pipeline,
                       int context, std::vector<int> placement) {
             return Unwrap(
                 parallel::MakeMesh(world_size, {.data = data,
                                                 .tensor = tensor,
                                                 .pipeline = pipeline,
                                                 .context = context,
                                                 .placement = placement}));
           }),
           py::arg("world_size"), py::kw_only(), py::arg("data") = 0,
           py::arg("tensor") = 1, py::arg("pipeline") = 1,
           py::arg("context") = 1, py::arg("placement") = std::vector<int>{},
           "`data=0` takes the ranks that the other axes leave; `placement` is "
           "the rank at each position (`place_ranks`), empty for their own "
           "order.")
      .def_property_readonly("world_size", &Mesh::world_size, "Ranks.")
      .def(
          "size",
          [](const Mesh& mesh, const std::string& axis) {
            return mesh.size(ParseAxis(axis));
          },
          py::arg("axis"), "Ranks along an axis.")
      .def(
          "coordinate",
          [](const Mesh& mesh, int rank, const std::string& axis) {
            if (rank < 0 || rank >= mesh.world_size()) {
              throw py::index_error("no such rank");
            }
            return mesh.CoordinateOf(rank, ParseAxis(axis));
          },
          py::arg("rank"), py::arg("axis"),
          "Where a rank stands along an axis.")
      .def("rank_map", &Mesh::RankMapText,
           "A table: a row a stage, a column a copy of the model, the ranks of "
           "a tensor group in a cell.")
      .def("__str__", &Mesh::ToString);

  Class<ParallelContext>(m, "ParallelContext",
                         "A mesh and the communicators over its axes.")
      .def(py::init([](comm::World& world, const Mesh& mesh) {
             return WithoutGil(
                 [&] { return Unwrap(ParallelContext::Make(world, mesh)); });
           }),
           py::arg("world"), py::arg("mesh"), py::keep_alive<1, 2>(),
           "Collective over the world.")
      .def_property_readonly("mesh", &ParallelContext::mesh,
                             "How ranks are laid out.")
      .def_property_readonly(
          "device",
          [](const ParallelContext& c) {
            return c.device().shared_from_this();
          },
          "Of this rank.")
      .def(
          "size",
          [](const ParallelContext& c, const std::string& axis) {
            return c.size(ParseAxis(axis));
          },
          py::arg("axis"), "Ranks along an axis.")
      .def(
          "index",
          [](const ParallelContext& c, const std::string& axis) {
            return c.index(ParseAxis(axis));
          },
          py::arg("axis"), "Where this rank stands along an axis.")
      .def_property_readonly(
          "tensor", &ParallelContext::tensor,
          py::return_value_policy::reference_internal,
          "The group that divides each layer with this rank.")
      .def_property_readonly("data", &ParallelContext::data,
                             py::return_value_policy::reference_internal,
                             "The group that has the same part of the model.")
      .def_property_readonly("context", &ParallelContext::context,
                             py::return_value_policy::reference_internal,
                             "The group that divides rows with this rank.")
      .def_property_readonly("pipeline", &ParallelContext::pipeline,
                             py::return_value_policy::reference_internal,
                             "The group of the stages.");
  BindPipeline(m);
}

}  // namespace eisbach::bindings
