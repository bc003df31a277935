#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

// Every two choices together at least once, in few combinations: a covering
// array of strength two, made greedily as AETG does (Cohen et al. 1997, The
// AETG System: An Approach to Testing Based on Combinatorial Design).
namespace eisbach::test {

struct Choices {
  std::string name;
  std::vector<std::string> values;
};

// The number of a value of each, in order; kOpen where it is not chosen yet.
using Combination = std::vector<int>;
inline constexpr int kOpen = -1;

// Whether a combination, some of which may be open, can become a valid one.
using Allowed = std::function<bool(const Combination&)>;

namespace internal {

// Choices a < b, and the numbers of their values.
using Pair = std::tuple<size_t, int, size_t, int>;

inline std::set<Pair> PairsOf(const Combination& one) {
  std::set<Pair> pairs;
  for (size_t a = 0; a < one.size(); ++a) {
    for (size_t b = a + 1; b < one.size(); ++b) {
      if (one[a] == kOpen || one[b] == kOpen) continue;
      pairs.emplace(a, one[a], b, one[b]);
    }
  }
  return pairs;
}

// Fills what is open, taking for each choice the value with the most pairs that
// are still missing; false where nothing fits. Goes back where it must.
inline bool Fill(const std::vector<Choices>& choices, const Allowed& allowed,
                 const std::set<Pair>& missing, size_t from, Combination& one) {
  while (from < one.size() && one[from] != kOpen) ++from;
  if (from == one.size()) return allowed(one);
  std::vector<std::pair<int64_t, int>> order;  // less is better
  const int count = static_cast<int>(choices[from].values.size());
  for (int value = 0; value < count; ++value) {
    one[from] = value;
    int64_t gain = 0;
    for (const Pair& pair : PairsOf(one)) gain += missing.count(pair);
    order.emplace_back(-gain, value);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [gain, value] : order) {
    one[from] = value;
    if (allowed(one) && Fill(choices, allowed, missing, from + 1, one)) {
      return true;
    }
  }
  one[from] = kOpen;
  return false;
}

}  // namespace internal

// Every valid combination, the last choice's values next to one another.
inline std::vector<Combination> CrossAll(const std::vector<Choices>& choices,
                                         const Allowed& allowed) {
  std::vector<Combination> all{Combination(choices.size(), kOpen)};
  for (size_t c = 0; c < choices.size(); ++c) {
    std::vector<Combination> longer;
    for (Combination& one : all) {
      for (size_t value = 0; value < choices[c].values.size(); ++value) {
        one[c] = static_cast<int>(value);
        if (allowed(one)) longer.push_back(one);
      }
    }
    all = std::move(longer);
  }
  return all;
}

// Combinations that hold each pair of values that is in any valid one. The same
// for the same arguments.
inline std::vector<Combination> CoverPairs(const std::vector<Choices>& choices,
                                           const Allowed& allowed) {
  using internal::Pair;
  std::set<Pair> missing;
  const auto start = [&](const Pair& pair) {
    const auto& [a, i, b, j] = pair;
    Combination one(choices.size(), kOpen);
    one[a] = i;
    one[b] = j;
    return one;
  };
  for (size_t a = 0; a < choices.size(); ++a) {
    for (size_t b = a + 1; b < choices.size(); ++b) {
      for (size_t i = 0; i < choices[a].values.size(); ++i) {
        for (size_t j = 0; j < choices[b].values.size(); ++j) {
          const Pair pair(a, i, b, j);
          if (allowed(start(pair))) missing.insert(pair);
        }
      }
    }
  }
  std::vector<Combination> all;
  while (!missing.empty()) {
    const Pair first = *missing.begin();
    Combination one = start(first);
    if (!internal::Fill(choices, allowed, missing, 0, one)) {
      missing.erase(first);  // in no valid one
      continue;
    }
    for (const Pair& pair : internal::PairsOf(one)) missing.erase(pair);
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace eisbach::test
