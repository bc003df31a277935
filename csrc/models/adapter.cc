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
  if (key.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "adapter.rank=0 makes no adapter, so that adapter.", key,
      " means nothing; nearest that works: adapter.rank=8, or leave adapter.",
      key, " out"));
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

absl::Status Validate(const Adapter& adapter, const Architecture& architecture,
                      bool tied) {
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
  return absl::OkStatus();
}

}  // namespace eisbach::models
