#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "parallel/mesh.h"

namespace eisbach::parallel {

// Where a rank computes, as far as the links between ranks tell it apart.
struct RankPlace {
  // Ranks of one name reach one another over the fastest links there are
  // (NVLink; memory on cpu). A domain may span hosts, and a host domains.
  std::string domain;
  std::string host;
  int numa_node = -1;  // -1: not known
};

// The ranks of each domain, in increasing order; domains by their first rank.
std::vector<std::vector<int>> Domains(absl::Span<const RankPlace> places);

// The sizes of tensor groups that fill every domain without a rest, in
// increasing order: with these no group has to cross, if PlaceRanks puts the
// ranks in order. At least {1}.
std::vector<int> TensorSizesInside(absl::Span<const RankPlace> places);

// The rank at each position of a mesh in the default axis order (the value of
// MeshOptions::placement), such that as few groups of `tensor` neighbours as
// can be cross a domain; those that must stay on one host, else on few domains,
// where that is easily had. Rank 0 comes first. The ranks as they are where no
// order is better, and where `tensor` does not divide their number, which
// MakeMesh refuses.
std::vector<int> PlaceRanks(absl::Span<const RankPlace> places, int tensor);

// The largest number of neighbours such that every group along `axis`, cut into
// parts of so many from its first rank on, has each part inside a domain or on
// a host.
int NeighboursInside(const Mesh& mesh, Axis axis,
                     absl::Span<const RankPlace> places);

// Tensor groups whose ranks are not all in one domain.
struct Crossing {
  int groups = 0;  // so many cross,
  int of = 0;      // of so many that there are
  bool leaves_host = false;
  std::vector<int> example;  // the ranks of the worst, in the mesh's order
  int domains = 0;           // that it touches
};
// Nothing when all groups stay inside.
std::optional<Crossing> FindCrossing(const Mesh& mesh,
                                     absl::Span<const RankPlace> places);

}  // namespace eisbach::parallel
