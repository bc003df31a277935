#include "plan/enumerate_layouts.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::plan {
namespace {

// A model's parts beyond which schedules bring nothing but transfers.
constexpr int kMostChunks = 8;
constexpr int64_t kMostMicroBatch = 16;
constexpr int64_t kFewMicroBatches = 4;
constexpr int64_t kMostTokens = 1 << 18;  // of such a one
// Tokens of a row below which its ranks have too little each.
constexpr int64_t kLeastPart = 1024;

std::vector<int> Divisors(int64_t of, int64_t most) {
  std::vector<int> found;
  for (int64_t n = 1; n <= std::min(of, most); ++n) {
    if (of % n == 0) found.push_back(static_cast<int>(n));
  }
  return found;
}

std::vector<int> PowersOfTwo(int64_t most) {
  std::vector<int> found;
  for (int64_t n = 1; n <= most; n *= 2) found.push_back(static_cast<int>(n));
  return found;
}

class Enumerator {
 public:
  Enumerator(const train::EngineConfig& config, const Hardware& hardware,
             int devices, const Fixed& fixed, RankBy by, int64_t experts)
      : config_(config),
        hardware_(hardware),
        devices_(devices),
        fixed_(fixed),
        by_(by),
        experts_(experts) {}

  std::vector<Layout> All() {
    const models::ModelConfig& model = config_.model;
    const auto tensors = Choices(
        fixed_.tensor,
        Divisors(model.heads,
                 std::min<int64_t>(devices_, hardware_.domain.devices)));
    const auto contexts = Choices(
        fixed_.context,
        PowersOfTwo(std::min(devices_, model.context / (2 * kLeastPart))));
    const auto pipelines = Choices(
        fixed_.pipeline, Pipelines(std::min<int64_t>(devices_, model.layers)));
    for (const int tensor : tensors) {
      for (const int context :
           contexts.empty() ? std::vector<int>{1} : contexts) {
        for (const int pipeline : pipelines) {
          const int64_t copy = int64_t{1} * tensor * context * pipeline;
          if (copy > devices_) continue;
          Batches({.tensor = tensor, .pipeline = pipeline, .context = context},
                  devices_ / copy);
        }
      }
    }
    return std::move(layouts_);
  }

 private:
  // Few numbers of stages: those that divide the layers, ends counted with
  // them, and powers of two.
  std::vector<int> Pipelines(int64_t most) const {
    std::vector<int> found = PowersOfTwo(most);
    for (const int64_t slots :
         {config_.model.layers, config_.model.layers + 2}) {
      for (const int n : Divisors(slots, std::min<int64_t>(most, 64))) {
        found.push_back(n);
      }
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  void Batches(Layout layout, int64_t most_data) {
    for (const int64_t micro_batch :
         Choices(fixed_.micro_batch, MicroBatches(layout, most_data))) {
      if (config_.global_batch % micro_batch != 0) continue;
      layout.micro_batch = micro_batch;
      const int64_t rows = config_.global_batch / micro_batch;
      std::vector<int> data = Divisors(rows, most_data);
      if (fixed_.data) {
        data = {*fixed_.data};
        if (data[0] > most_data || rows % data[0] != 0) continue;
      } else {
        data = Worthwhile(data);
      }
      for (const int d : data) {
        layout.data = d;
        for (const int expert : ExpertRanks(layout)) {
          layout.expert = expert;
          Schedules(layout, rows / d);
        }
      }
    }
  }

  // Of a stage's ranks, how many may divide the experts of a layer.
  std::vector<int> ExpertRanks(const Layout& layout) const {
    if (experts_ == 0) return {1};
    const int64_t ranks = std::gcd(layout.copies() * layout.tensor, experts_);
    if (!fixed_.expert) return Divisors(ranks, ranks);
    if (*fixed_.expert < 1 || ranks % *fixed_.expert != 0) return {};
    return {*fixed_.expert};
  }

  // Of numbers of data ranks, the most; where fewer may be better, some of
  // those below it, too.
  std::vector<int> Worthwhile(const std::vector<int>& data) const {
    std::vector<int> chosen;
    for (auto d = data.rbegin(); d != data.rend(); ++d) {
      if (chosen.empty() || 2 * *d <= chosen.back()) chosen.push_back(*d);
      if (by_ == RankBy::kTime) break;
    }
    return chosen;
  }

  // Powers of two; without a pipeline also those that leave few of them.
  std::vector<int64_t> MicroBatches(const Layout& layout,
                                    int64_t most_data) const {
    std::vector<int64_t> found;
    for (int64_t n = 1; n <= kMostMicroBatch; n *= 2) found.push_back(n);
    if (layout.pipeline > 1) return found;
    for (const int data :
         Worthwhile(Divisors(config_.global_batch, most_data))) {
      const int64_t rows = config_.global_batch / data;
      for (int64_t few = 1; few <= kFewMicroBatches; ++few) {
        const int64_t n = rows / few;
        if (rows % few != 0 || n * config_.model.context > kMostTokens ||
            std::find(found.begin(), found.end(), n) != found.end()) {
          continue;
        }
        found.push_back(n);
      }
    }
    return found;
  }

  void Schedules(Layout layout, int64_t micro_batches) {
    if (layout.pipeline == 1) {
      layout.schedule = fixed_.schedule.value_or("1f1b");
      layout.chunks = fixed_.chunks.value_or(1);
      layouts_.push_back(layout);
      return;
    }
    const std::vector<std::string> names =
        Choices(fixed_.schedule,
                std::vector<std::string>{"1f1b", "interleaved", "zero_bubble"});
    for (const std::string& name : names) {
      layout.schedule = name;
      const auto limits = parallel::ChunksOf(name);
      if (!limits.ok()) continue;
      const int64_t layers = config_.model.layers / layout.pipeline;
      for (const int chunks :
           Choices(fixed_.chunks, PowersOfTwo(kMostChunks))) {
        if (chunks < limits->least || chunks > limits->most) continue;
        if (chunks > std::max<int64_t>(layers, 1)) continue;
        if (micro_batches < 2 && name != "1f1b") continue;
        layout.chunks = chunks;
        layouts_.push_back(layout);
      }
    }
  }

  const train::EngineConfig& config_;
  const Hardware& hardware_;
  const int64_t devices_;
  const Fixed& fixed_;
  const RankBy by_;
  const int64_t experts_;
  std::vector<Layout> layouts_;
};

}  // namespace

std::vector<Layout> EnumerateLayouts(const train::EngineConfig& config,
                                     const Hardware& hardware, int devices,
                                     const Fixed& fixed, RankBy by,
                                     int64_t experts) {
  return Enumerator(config, hardware, devices, fixed, by, experts).All();
}

absl::Status WhyNone(const train::EngineConfig& config,
                     const Hardware& hardware, int devices, const Fixed& fixed,
                     int64_t experts) {
  int nearest = 0;
  if (experts > 0 && fixed.expert) {
    Fixed any = fixed;
    any.expert.reset();
    for (const Layout& layout : EnumerateLayouts(config, hardware, devices, any,
                                                 RankBy::kTime, experts)) {
      if (nearest == 0 || std::abs(layout.expert - *fixed.expert) <
                              std::abs(nearest - *fixed.expert)) {
        nearest = layout.expert;
      }
    }
  }
  if (nearest > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expert_parallel=", *fixed.expert, " does not divide experts=", experts,
        " and the ranks of a stage (data x context x tensor) on any layout of "
        "at most ",
        devices, " devices; nearest that works: ", nearest));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "train.global_batch=", config.global_batch, " has no layout on at most ",
      devices,
      " devices where parallel.data x train.micro_batch divides it and the "
      "given keys stay"));
}

}  // namespace eisbach::plan
