#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach::parallel {

// How ranks that divide rows see one another's keys (parallel.context_method).
enum class ContextMethod : uint8_t { kAuto, kRing, kUlysses, kGather };

absl::string_view Name(ContextMethod method);
// InvalidArgument names the methods.
absl::StatusOr<ContextMethod> ParseContextMethod(absl::string_view name);

// What `asked` stands for in a model of so many heads, of which `tensor` ranks
// have equal parts: auto is ulysses where the heads of each divide by
// `context`, else ring. InvalidArgument where ulysses was asked for and they do
// not, with what works.
absl::StatusOr<ContextMethod> ChooseContextMethod(ContextMethod asked,
                                                  int64_t heads,
                                                  int64_t kv_heads, int tensor,
                                                  int context);

}  // namespace eisbach::parallel
