#include "models/adapter.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "ops/dropout_bits.h"

namespace eisbach::models {
namespace {

constexpr int64_t kMostRank = 1 << 16;

bool Has(const std::vector<std::string>& names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

absl::Status Problem(absl::string_view key, absl::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("adapter.", key, "=", problem));
}

absl::Status CheckNames(absl::string_view key,
                        const std::vector<std::string>& names,
                        const std::vector<std::string>& known,
                        absl::string_view what) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (!Has(known, names[i])) {
      return Problem(
          key, absl::StrCat("[", absl::StrJoin(names, ", "), "]: ", names[i],
                            " is no ", what, " of this model; there are ",
                            absl::StrJoin(known, ", ")));
    }
    if (std::find(names.begin(), names.begin() + i, names[i]) !=
        names.begin() + i) {
      return Problem(key, absl::StrCat("[", absl::StrJoin(names, ", "),
                                       "] has ", names[i], " twice"));
    }
  }
  return absl::OkStatus();
}

// Whether anything is said of adapters that are not there.
absl::Status CheckNothingSaid(const Adapter& a) {
  absl::string_view key;
  if (a.alpha != 0) key = "alpha";
  if (a.dropout != 0) key = "dropout";
  if (a.rslora) key = "rslora";
  if (!a.targets.empty()) key = "targets";
  if (!a.saved.empty()) key = "modules_to_save";
  if (!a.tokens.empty()) key = "tokens";
  if (key.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "adapter.rank=0 makes no adapter, so that adapter.", key,
      " means nothing; nearest that works: adapter.rank=8, or leave adapter.",
      key, " out"));
}

absl::Status CheckTokens(const Adapter& a, int64_t vocab, bool tied) {
  for (size_t i = 0; i < a.tokens.size(); ++i) {
    const int64_t id = a.tokens[i];
    if (id < 0 || id >= vocab) {
      return absl::InvalidArgumentError(absl::StrCat(
          "adapter.tokens has ", id, ", which is outside [0, vocab=", vocab,
          ") (model.vocab); nearest that works: ", id < 0 ? 0 : vocab - 1));
    }
    if (i > 0 && id <= a.tokens[i - 1]) {
      return absl::InvalidArgumentError(
          absl::StrCat("adapter.tokens has ", id, " after ", a.tokens[i - 1],
                       "; ids increase, each comes once"));
    }
  }
  if (a.tokens.empty() || TablesWithRows(a, tied) > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "adapter.modules_to_save trains all rows of the tables, so that "
      "adapter.tokens means nothing; nearest that works: leave one of them "
      "out");
}

}  // namespace

bool Adapter::Adapts(absl::string_view projection) const {
  return enabled() && (targets.empty() || Has(targets, projection));
}

bool Adapter::Saves(absl::string_view table) const { return Has(saved, table); }

float Adapter::Scale() const {
  const auto r = static_cast<double>(rank);
  return static_cast<float>(alpha / (rslora ? std::sqrt(r) : r));
}

std::vector<std::string> AdapterTargets(const Architecture& architecture) {
  std::vector<std::string> names;
  if (architecture.fused_qkv) {
    names = {"qkv"};
  } else {
    names = {"query", "key", "value"};
  }
  names.emplace_back("output");
  if (architecture.gated() && architecture.fused_gate_up) {
    names.emplace_back("gate_up");
  } else {
    if (architecture.gated()) names.emplace_back("gate");
    names.emplace_back("up");
  }
  names.emplace_back("down");
  return names;
}

int64_t TablesWithRows(const Adapter& adapter, bool tied) {
  const int64_t tables = tied ? 1 : 2;
  return tables -
         std::min<int64_t>(tables, static_cast<int64_t>(adapter.saved.size()));
}

absl::Status Validate(const Adapter& adapter, const Architecture& architecture,
                      int64_t vocab, bool tied) {
  if (adapter.rank < 0 || adapter.rank > kMostRank) {
    return Problem("rank", absl::StrCat(adapter.rank, " is outside [0, ",
                                        kMostRank, "]; nearest that works: ",
                                        adapter.rank < 0 ? 0 : kMostRank));
  }
  if (!adapter.enabled()) return CheckNothingSaid(adapter);
  if (!(adapter.alpha > 0)) {
    return Problem(
        "alpha",
        absl::StrCat(adapter.alpha, " is not above 0; nearest that works: ",
                     2 * adapter.rank));
  }
  EISBACH_RETURN_IF_ERROR(
      CheckFitsF32("alpha", adapter.alpha, "adapter.alpha"));
  if (!(adapter.dropout >= 0 && adapter.dropout <= ops::kMostDropout)) {
    return Problem("dropout",
                   absl::StrCat(adapter.dropout, " is outside [0, 1 - 2^-24]; ",
                                "nearest that works: ",
                                adapter.dropout > 0 ? "0.9999999" : "0"));
  }
  EISBACH_RETURN_IF_ERROR(CheckNames(
      "targets", adapter.targets, AdapterTargets(architecture), "projection"));
  EISBACH_RETURN_IF_ERROR(CheckNames("modules_to_save", adapter.saved,
                                     {"embedding", "head"}, "table"));
  if (tied && adapter.Saves("embedding") != adapter.Saves("head")) {
    return Problem("modules_to_save",
                   absl::StrCat("[", adapter.saved[0],
                                "]: the embedding is the head as well "
                                "(model.tie_embeddings); nearest that works: "
                                "[embedding, head]"));
  }
  return CheckTokens(adapter, vocab, tied);
}

}  // namespace eisbach::models
