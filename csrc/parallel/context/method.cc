#include "parallel/context/method.h"

#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/divisor.h"

namespace eisbach::parallel {
namespace {

constexpr ContextMethod kMethods[] = {
    ContextMethod::kAuto, ContextMethod::kRing, ContextMethod::kUlysses,
    ContextMethod::kUlyssesRing, ContextMethod::kGather};

// What a group has done that exchanges heads in parts of so many ranks.
ContextExchange OfGroup(int group, int context) {
  if (group == context) return {ContextMethod::kUlysses, group};
  return {group == 1 ? ContextMethod::kRing : ContextMethod::kUlyssesRing,
          group};
}

// The largest group of neighbours among which heads divide, of those whose size
// divides `ranks`.
int LargestGroup(const ContextSizes& sizes, int64_t ranks) {
  if (sizes.heads % sizes.tensor != 0 || sizes.kv_heads % sizes.tensor != 0) {
    return 1;
  }
  const int64_t heads = std::gcd(sizes.heads, sizes.kv_heads) / sizes.tensor;
  return static_cast<int>(std::gcd(heads, ranks));
}

// "context=4 x tensor=2 does not divide heads=24 and kv_heads=2"
std::string Uneven(absl::string_view what, const ContextSizes& sizes) {
  return absl::StrCat(
      what, sizes.tensor > 1 ? absl::StrCat(" x tensor=", sizes.tensor) : "",
      " does not divide heads=", sizes.heads, " and kv_heads=", sizes.kv_heads);
}

absl::StatusOr<ContextExchange> AllExchangeHeads(const ContextSizes& sizes,
                                                 int group) {
  const int context = sizes.context;
  if (LargestGroup(sizes, context) != context) {
    // The largest that works, as fewer ranks hold longer parts.
    int fits = context;
    while (LargestGroup(sizes, fits) != fits) --fits;
    return absl::InvalidArgumentError(absl::StrCat(
        Uneven(absl::StrCat("context=", context), sizes),
        ", as context_method=ulysses must (parallel.context, "
        "parallel.context_method); context_method=ring takes any",
        fits > 1 ? absl::StrCat("; nearest that works: context=", fits) : ""));
  }
  if (group != 0 && group != context) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ulysses_group=", group, " of context=", context,
        " ranks, and context_method=ulysses exchanges heads among all of them "
        "(parallel.ulysses_group); context_method=ulysses_ring has such "
        "groups; nearest that works: ",
        context));
  }
  return ContextExchange{ContextMethod::kUlysses, context};
}

}  // namespace

absl::string_view Name(ContextMethod method) {
  switch (method) {
    case ContextMethod::kAuto:
      return "auto";
    case ContextMethod::kRing:
      return "ring";
    case ContextMethod::kUlysses:
      return "ulysses";
    case ContextMethod::kUlyssesRing:
      return "ulysses_ring";
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
                   " is none of auto, ring, ulysses, ulysses_ring, gather "
                   "(parallel.context_method)"));
}

absl::StatusOr<ContextExchange> ChooseContextMethod(const ContextRequest& asked,
                                                    const ContextSizes& sizes) {
  const int group = asked.ulysses_group, context = sizes.context;
  if (asked.method == ContextMethod::kUlysses) {
    return AllExchangeHeads(sizes, group);
  }
  if (asked.method == ContextMethod::kRing ||
      asked.method == ContextMethod::kGather) {
    if (group == 0 || group == 1) return ContextExchange{asked.method, 1};
    return absl::InvalidArgumentError(absl::StrCat(
        "ulysses_group=", group, " of context_method=", Name(asked.method),
        ", which exchanges no heads (parallel.ulysses_group); nearest that "
        "works: 1"));
  }
  const int most = LargestGroup(sizes, context);
  if (group != 0) {
    if (group > 0 && most % group == 0) return OfGroup(group, context);
    const std::string name = absl::StrCat("ulysses_group=", group);
    return absl::InvalidArgumentError(absl::StrCat(
        group > 0 && context % group == 0
            ? Uneven(name, sizes)
            : absl::StrCat(name, " does not divide context=", context),
        " (parallel.ulysses_group); nearest that works: ",
        NearestDivisor(most, group)));
  }
  const bool anywhere =
      asked.neighbours == 0 ||
      (asked.method == ContextMethod::kAuto && most == context);
  const int inside = anywhere ? most : std::gcd(most, asked.neighbours);
  if (asked.method == ContextMethod::kAuto || inside > 1 || context == 1) {
    return OfGroup(inside, context);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "context_method=ulysses_ring exchanges heads among neighbours, and ",
      most == 1 ? absl::StrCat("no group of them divides heads=", sizes.heads,
                               " and kv_heads=", sizes.kv_heads)
                : absl::StrCat("no two of a group of context=", context,
                               " share a domain; ulysses_group=", most,
                               " exchanges them nevertheless"),
      " (parallel.context_method); nearest that works: ring"));
}

std::string ContextText(const ContextExchange& exchange, int context) {
  if (context == 1) return "";
  const std::string rows =
      absl::StrCat("context=", context, " ranks divide rows: ");
  if (exchange.method != ContextMethod::kUlyssesRing) {
    return absl::StrCat(rows, Name(exchange.method));
  }
  return absl::StrCat(rows, "ulysses in groups of ", exchange.ulysses_group,
                      ", a ring of ", context / exchange.ulysses_group,
                      " between them");
}

}  // namespace eisbach::parallel
