#include "parallel/context/method.h"

#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"

namespace eisbach::parallel {
namespace {

constexpr ContextMethod kMethods[] = {
    ContextMethod::kAuto, ContextMethod::kRing, ContextMethod::kUlysses,
    ContextMethod::kGather};

}  // namespace

absl::string_view Name(ContextMethod method) {
  switch (method) {
    case ContextMethod::kAuto:
      return "auto";
    case ContextMethod::kRing:
      return "ring";
    case ContextMethod::kUlysses:
      return "ulysses";
    case ContextMethod::kGather:
      return "gather";
  }
  return "?";
}

absl::StatusOr<ContextMethod> ParseContextMethod(absl::string_view name) {
  for (ContextMethod method : kMethods) {
    if (name == Name(method)) return method;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("context_method=", name,
                   " is none of auto, ring, ulysses, gather "
                   "(parallel.context_method)"));
}

absl::StatusOr<ContextMethod> ChooseContextMethod(ContextMethod asked,
                                                  int64_t heads,
                                                  int64_t kv_heads, int tensor,
                                                  int context) {
  const int64_t ranks = int64_t{tensor} * context;
  const bool divides = heads % ranks == 0 && kv_heads % ranks == 0;
  if (asked == ContextMethod::kAuto) {
    return divides ? ContextMethod::kUlysses : ContextMethod::kRing;
  }
  if (asked != ContextMethod::kUlysses || divides) return asked;
  const int64_t most = std::gcd(heads, kv_heads);
  std::string nearest;
  if (most % tensor == 0) {
    // The largest that works, as fewer ranks hold longer parts.
    int64_t fits = most / tensor;
    while (fits > context || most / tensor % fits != 0) --fits;
    if (fits > 1)
      nearest = absl::StrCat("; nearest that works: context=", fits);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "context=", context, tensor > 1 ? absl::StrCat(" x tensor=", tensor) : "",
      " does not divide heads=", heads, " and kv_heads=", kv_heads,
      ", as context_method=ulysses must (parallel.context, "
      "parallel.context_method); context_method=ring takes any",
      nearest));
}

}  // namespace eisbach::parallel
