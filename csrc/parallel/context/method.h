#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach::parallel {

// How ranks that divide rows see one another's keys (parallel.context_method).
enum class ContextMethod : uint8_t {
  kAuto,
  kRing,
  kUlysses,
  kUlyssesRing,
  kGather
};

absl::string_view Name(ContextMethod method);
// InvalidArgument names the methods.
absl::StatusOr<ContextMethod> ParseContextMethod(absl::string_view name);

// What a configuration asks for.
struct ContextRequest {
  ContextMethod method = ContextMethod::kAuto;
  int ulysses_group = 0;  // parallel.ulysses_group; 0: auto
  // So many neighbours of a context group, from its first on, share a domain
  // (topology.h, NeighboursInside); 0: all of them.
  int neighbours = 0;
};

// A model's heads, and the ranks that have equal parts of them and of rows.
struct ContextSizes {
  int64_t heads;
  int64_t kv_heads;
  int tensor;
  int context;
};

// What is done: groups of `ulysses_group` neighbours exchange heads, then rows,
// which such groups divide, go by the rest of the method. Its size is 1 where
// no heads are exchanged, `context` of ulysses alone.
struct ContextExchange {
  ContextMethod method;  // kUlyssesRing where there are both, never kAuto
  int ulysses_group;

  friend bool operator==(const ContextExchange&,
                         const ContextExchange&) = default;
};

// What `asked` stands for.
//
// A group that exchanges heads has a size that divides `context` and the heads,
// query and key, of each tensor rank. `auto` of the size is the largest such
// that lies in a domain. `auto` of the method is ulysses where heads divide by
// `context`, whatever the domains; else ulysses_ring where such a group has two
// ranks or more, else the ring. With a size, auto is what has this size.
//
// InvalidArgument where heads or ranks do not fit what was asked for, and where
// a size is given to a method that has none, with what works.
absl::StatusOr<ContextExchange> ChooseContextMethod(const ContextRequest& asked,
                                                    const ContextSizes& sizes);

// In words, for whoever starts a run; empty for one rank.
std::string ContextText(const ContextExchange& exchange, int context);

}  // namespace eisbach::parallel
