#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/threads.h"
#include "device/cpu/parallel_for.h"
#include "ops/attention.h"

namespace eisbach::ops::cpu {

// What attends within itself: a document, or a whole row where rows are one
// document each. Tiles begin where it begins, so its bits are those that it has
// alone in a row, and nothing of what lies beside it is read.
struct Sequence {
  int64_t batch;
  int64_t first;  // position in its row
  int64_t length;
};

// All of a call, in the order of memory. `starts` is as CheckStarts has it, or
// undefined.
inline std::vector<Sequence> SequencesOf(const Tensor& qkv,
                                         const Tensor& starts) {
  const int64_t batch = qkv.dim(0), length = qkv.dim(1);
  std::vector<Sequence> sequences;
  for (int64_t b = 0; b < batch && length > 0; ++b) {
    sequences.push_back({b, 0, 0});
    for (int64_t t = 1; starts.defined() && t < length; ++t) {
      if (starts.data<int32_t>()[b * length + t] != t) continue;
      sequences.back().length = t - sequences.back().first;
      sequences.push_back({b, t, 0});
    }
    sequences.back().length = length - sequences.back().first;
  }
  return sequences;
}

inline int64_t LongestOf(const std::vector<Sequence>& sequences) {
  int64_t longest = 0;
  for (const Sequence& s : sequences) longest = std::max(longest, s.length);
  return longest;
}

template <typename Tasks>
int64_t CountTasks(const std::vector<Sequence>& sequences, Tasks tasks) {
  int64_t count = 0;
  for (const Sequence& s : sequences) count += tasks(s);
  return count;
}

// Calls run(sequence, begin, end) for tasks [begin, end) of each sequence's
// `tasks(sequence)`, so that threads get about equal shares of the pairs of
// queries and keys. `run` must give the same result however tasks are cut.
template <typename Tasks, typename Run>
void ParallelTasks(const std::vector<Sequence>& sequences, Tasks tasks,
                   Run run) {
  // Of a sequence; short ones cost more than their pairs.
  const auto cost = [&](const Sequence& s) {
    constexpr double kOverhead = 128;
    const double length = static_cast<double>(s.length);
    return length * (length + kOverhead);
  };
  double total = 0;
  for (const Sequence& s : sequences) total += cost(s);
  const int64_t parts =
      std::min<int64_t>(CountTasks(sequences, tasks), ComputeThreads());
  eisbach::cpu::ParallelFor(parts, 1, [&](int64_t begin, int64_t end) {
    // Where the share that ends with part `part` ends, in tasks of a sequence.
    const auto cut = [&](const Sequence& s, double before, int64_t part) {
      if (part == 0) return int64_t{0};
      if (part == parts) return tasks(s);
      const double at = (total * static_cast<double>(part) / parts - before);
      const double share = std::clamp(at / cost(s), 0.0, 1.0);
      return static_cast<int64_t>(share * static_cast<double>(tasks(s)));
    };
    double before = 0;
    for (const Sequence& s : sequences) {
      const int64_t first = cut(s, before, begin), last = cut(s, before, end);
      if (first < last) run(s, first, last);
      before += cost(s);
    }
  });
}

}  // namespace eisbach::ops::cpu
