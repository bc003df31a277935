#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "comm/world.h"
#include "core/status_macros.h"
#include "train/network_check.h"
#include "train/network_use.h"
#include "train/rank_location.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using train::NetworkReport;
using train::RankLocation;

constexpr auto kFree = py::call_guard<py::gil_scoped_release>();

absl::Status CheckLocations(const std::vector<RankLocation>& locations,
                            int ranks) {
  if (static_cast<int>(locations.size()) == ranks) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("locations are of ", locations.size(), " ranks, and there ",
                   "are ", ranks, "; gather_locations has them"));
}

}  // namespace

void BindNetwork(CoreModule& m) {
  Class<RankLocation>(m, "RankLocation", "Where one rank of a job runs.")
      .def_readonly("rank", &RankLocation::rank)
      .def_readonly("host", &RankLocation::host)
      .def_property_readonly(
          "cores", [](const RankLocation& at) { return CoresText(at.cores); },
          "That it may run on, such as `0-15,32-47`.")
      .def_readonly("threads", &RankLocation::threads)
      .def_property_readonly(
          "device", [](const RankLocation& at) { return at.device.name; },
          "Name of the GPU, or of the processor.")
      .def_property_readonly(
          "domain", [](const RankLocation& at) { return at.domain(); },
          "Equal for ranks that reach one another over the fastest links.")
      .def_property_readonly(
          "domain_source",
          [](const RankLocation& at) { return at.device.domain_source; },
          "How the domain is known, or why it is not.")
      .def_property_readonly(
          "numa_node",
          [](const RankLocation& at) { return at.device.numa_node; },
          "-1 where it is not known.")
      .def_readonly("memory", &RankLocation::memory,
                    "Bytes that its tensors may take: nine tenths of its GPU, "
                    "or of its even share of the host; 0 where it is not "
                    "known.");

  m.def("gather_locations", &train::GatherLocations, py::arg("world"), kFree,
        "Where each rank runs, on every rank. Collective.");
  m.def(
      "place_ranks",
      [](const std::vector<RankLocation>& locations, int tensor) {
        if (tensor < 1) {
          throw py::value_error(
              absl::StrCat("tensor=", tensor, " is below 1 (parallel.tensor)"));
        }
        return parallel::PlaceRanks(train::PlacesOf(locations), tensor);
      },
      py::arg("locations"), py::kw_only(), py::arg("tensor"),
      "The rank at each position of a mesh, for `Mesh(placement=...)`, such "
      "that as few tensor groups as can be cross a domain.");
  m.def(
      "tensor_sizes_inside",
      [](const std::vector<RankLocation>& locations) {
        return parallel::TensorSizesInside(train::PlacesOf(locations));
      },
      py::arg("locations"),
      "The sizes of tensor groups with which none crosses a domain.");
  m.def(
      "context_neighbours",
      [](const parallel::Mesh& mesh,
         const std::vector<RankLocation>& locations) {
        Unwrap(CheckLocations(locations, mesh.world_size()));
        return parallel::NeighboursInside(mesh, Axis::kContext,
                                          train::PlacesOf(locations));
      },
      py::arg("mesh"), py::arg("locations"),
      "For `EngineConfig(context_neighbours=...)`: how many neighbours of a "
      "context group, from its first on, share a domain or a host.");
  m.def(
      "rank_table",
      [](const std::vector<RankLocation>& locations) {
        return train::RankTable(locations);
      },
      py::arg("locations"), "A row a rank and a line a domain.");
  m.def(
      "crossing_text",
      [](const parallel::Mesh& mesh,
         const std::vector<RankLocation>& locations) {
        Unwrap(CheckLocations(locations, mesh.world_size()));
        return train::CrossingText(mesh, locations);
      },
      py::arg("mesh"), py::arg("locations"),
      "Says which tensor groups cross domains, over which link and how fast; "
      "empty when none does.");

  m.def(
      "check_requirements",
      [](const parallel::ParallelContext& context,
         const std::vector<RankLocation>& locations, const std::string& nvls,
         const std::string& mnnvl) -> absl::StatusOr<std::string> {
        EISBACH_RETURN_IF_ERROR(
            CheckLocations(locations, context.mesh().world_size()));
        train::NetworkRequirements requirements;
        EISBACH_ASSIGN_OR_RETURN(requirements.nvls,
                                 train::RequiredByName(nvls));
        EISBACH_ASSIGN_OR_RETURN(requirements.mnnvl,
                                 train::RequiredByName(mnnvl));
        EISBACH_ASSIGN_OR_RETURN(const std::vector<train::AxisNetwork> axes,
                                 train::GatherNetwork(context));
        EISBACH_RETURN_IF_ERROR(train::CheckRequirements(
            context.mesh(), locations, axes, requirements));
        return train::NetworkText(context.mesh(), axes);
      },
      py::arg("context"), py::arg("locations"), py::kw_only(), py::arg("nvls"),
      py::arg("mnnvl"), kFree,
      "What moves bytes between ranks, a line an axis with several. `nvls` and "
      "`mnnvl` are as in section `network` of a configuration: ValueError "
      "names the first group that lacks what is required of it. Collective.");

  Class<NetworkReport>(m, "NetworkReport",
                       "How fast ranks and the links between them are.")
      .def_readonly("rounds", &NetworkReport::rounds,
                    "Of pairs that were measured at once.")
      .def(
          "table",
          [](const NetworkReport& report,
             const std::vector<RankLocation>& locations) {
            return report.Table(locations);
          },
          py::arg("locations"))
      .def(
          "outliers",
          [](const NetworkReport& report,
             const std::vector<RankLocation>& locations) {
            std::vector<std::string> lines;
            for (const train::Outlier& one : report.Outliers(locations)) {
              lines.push_back(ToText(one));
            }
            return lines;
          },
          py::arg("locations"),
          "A line for each rank, domain or pair below 0.8 of the median.");
  m.def(
      "check_network",
      [](comm::World& world, const std::vector<RankLocation>& locations,
         double slowdown) -> absl::StatusOr<NetworkReport> {
        EISBACH_RETURN_IF_ERROR(CheckLocations(locations, world.size()));
        if (slowdown < 1) {
          return absl::InvalidArgumentError(
              absl::StrCat("slowdown=", slowdown, " is below 1"));
        }
        return train::CheckNetwork(
            world, locations,
            {.sizes = train::NetworkCheckSizesFor(world.device().type()),
             .slowdown = slowdown});
      },
      py::arg("world"), py::arg("locations"), py::kw_only(),
      py::arg("slowdown") = 1.0, kFree,
      "Measures matmul, copies, all-reduce, all-to-all and point-to-point on "
      "all ranks. `slowdown` makes this rank take so many times as long, to "
      "see that it is found. Collective.");
}

}  // namespace eisbach::bindings
