#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "models/architecture.h"

namespace eisbach::models {

// Low-rank adapters beside the linear layers of a model that else stays as it
// is: Hu et al., "LoRA", arXiv:2106.09685; nn/lora.h.
struct Adapter {
  int64_t rank = 0;     // 0: there are none
  double alpha = 0;     // scale · rank, or · sqrt(rank) where `rslora`
  double dropout = 0;   // of what adapters take
  bool rslora = false;  // Kalajdzievski, arXiv:2312.03732
  // Which projections have one; AdapterTargets lists them. Empty: all.
  std::vector<std::string> targets = {};
  // Whole tables that train as well: "embedding", "head".
  std::vector<std::string> saved = {};
  // Ids of which rows of the other tables train (nn/token_rows.h), increasing.
  std::vector<int64_t> tokens = {};

  bool enabled() const { return rank > 0; }
  bool Adapts(absl::string_view projection) const;
  bool Saves(absl::string_view table) const;
  float Scale() const;
};

// The projections of a block by the names of their weights, but "qkv" and
// "gate_up" for a family whose files have them as one.
std::vector<std::string> AdapterTargets(const Architecture& architecture);

// How many of the tables, of which a tied one is one, are not saved.
int64_t TablesWithRows(const Adapter& adapter, bool tied);

// InvalidArgument names the key, the value and the nearest that works.
absl::Status Validate(const Adapter& adapter, const Architecture& architecture,
                      int64_t vocab, bool tied);

}  // namespace eisbach::models
