#include "plan/enumerate_layouts.h"

#include <algorithm>
#include <numeric>
#include <utility>

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

// At least 1.
std::vector<int> PowersOfTwo(int64_t most) {
  std::vector<int> found = {1};
  while (2 * found.back() <= most) found.push_back(2 * found.back());
  return found;
}

std::vector<int> UpTo(int64_t most) {
  std::vector<int> found(std::max<int64_t>(most, 1));
  std::iota(found.begin(), found.end(), 1);
  return found;
}

class Enumerator {
 public:
  Enumerator(const Ways& ways, absl::FunctionRef<bool(const Layout&)> visit)
      : ways_(ways),
        config_(ways.config),
        fixed_(ways.fixed),
        devices_(ways.devices),
        visit_(visit) {}

  std::optional<Obstacle> All() {
    if (AnyBelowOne()) return Obstacle{Rule::kPositive, {}};
    const std::vector<int> contexts = Choices(fixed_.context, Contexts());
    const std::vector<int> pipelines = Choices(fixed_.pipeline, Pipelines());
    for (const int tensor : Choices(fixed_.tensor, Tensors())) {
      for (const int context : contexts) {
        if (context > 1 && config_.model.context % (2 * context) != 0) {
          Meets(Rule::kRows, {.context = context});
          continue;
        }
        for (const int pipeline : pipelines) {
          const Layout layout{
              .tensor = tensor, .pipeline = pipeline, .context = context};
          if (layout.devices() > devices_) {
            Meets(Rule::kDevices, layout);
          } else if (goes_on_) {
            Batches(layout, devices_ / layout.devices());
          }
        }
      }
    }
    return obstacle_;
  }

 private:
  void Meets(Rule rule, const Layout& layout) {
    if (!obstacle_ || rule > obstacle_->rule) obstacle_ = {rule, layout};
  }

  bool AnyBelowOne() const {
    for (const auto& given : {fixed_.data, fixed_.tensor, fixed_.pipeline,
                              fixed_.context, fixed_.chunks, fixed_.expert}) {
      if (given.value_or(1) < 1) return true;
    }
    return fixed_.micro_batch.value_or(1) < 1;
  }

  bool Whole(Key key) const { return ways_.whole == key; }

  std::vector<int> Tensors() const {
    const int domain = ways_.hardware.domain.devices;
    return Divisors(
        config_.model.heads,
        Whole(Key::kTensor) ? devices_ : std::min<int64_t>(devices_, domain));
  }

  std::vector<int> Contexts() const {
    const int64_t pairs = config_.model.context / 2;
    if (Whole(Key::kContext)) {
      return Divisors(std::max<int64_t>(pairs, 1), devices_);
    }
    return PowersOfTwo(std::min(devices_, pairs / kLeastPart));
  }

  // Few numbers of stages: those that divide the layers, ends counted with
  // them, and powers of two.
  std::vector<int> Pipelines() const {
    const int64_t most = std::min(devices_, config_.model.layers);
    if (Whole(Key::kPipeline)) return UpTo(most);
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
      layout.micro_batch = micro_batch;
      if (config_.global_batch % micro_batch != 0) {
        Meets(Rule::kBatch, layout);
        continue;
      }
      const int64_t rows = config_.global_batch / micro_batch;
      for (const int data : DataRanks(layout, rows, most_data)) {
        Layout divided = layout;
        divided.data = data;
        for (const int expert : ExpertRanks(divided)) {
          divided.expert = expert;
          Schedules(divided, rows / data);
        }
      }
    }
  }

  std::vector<int> DataRanks(Layout layout, int64_t rows, int64_t most_data) {
    if (!fixed_.data) {
      std::vector<int> data = Divisors(rows, most_data);
      return Whole(Key::kData) ? data : Worthwhile(data);
    }
    layout.data = *fixed_.data;
    if (layout.data > most_data) {
      Meets(Rule::kDevices, layout);
    } else if (rows % layout.data != 0) {
      Meets(Rule::kBatch, layout);
    } else {
      return {layout.data};
    }
    return {};
  }

  // Of a stage's ranks, how many may divide the experts of a layer.
  std::vector<int> ExpertRanks(const Layout& layout) {
    if (ways_.experts == 0) return {0};
    const int64_t ranks =
        std::gcd(layout.copies() * layout.tensor, ways_.experts);
    if (!fixed_.expert) return Divisors(ranks, ranks);
    if (ranks % *fixed_.expert == 0) return {*fixed_.expert};
    Meets(Rule::kExperts, layout);
    return {};
  }

  // Of numbers of data ranks, the most; where fewer may be better, some of
  // those below it, too.
  std::vector<int> Worthwhile(const std::vector<int>& data) const {
    std::vector<int> chosen;
    for (auto d = data.rbegin(); d != data.rend(); ++d) {
      if (chosen.empty() || 2 * *d <= chosen.back()) chosen.push_back(*d);
      if (ways_.by == RankBy::kTime) break;
    }
    return chosen;
  }

  // Powers of two; without a pipeline also those that leave few of them.
  std::vector<int64_t> MicroBatches(const Layout& layout,
                                    int64_t most_data) const {
    std::vector<int64_t> found;
    if (fixed_.micro_batch) return found;
    const int64_t batch = config_.global_batch;
    for (const int n :
         Divisors(batch, Whole(Key::kMicroBatch) ? batch : kMostMicroBatch)) {
      if (Whole(Key::kMicroBatch) || (n & (n - 1)) == 0) found.push_back(n);
    }
    if (layout.pipeline > 1 || Whole(Key::kMicroBatch)) return found;
    for (const int data : Worthwhile(Divisors(batch, most_data))) {
      const int64_t rows = batch / data;
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
    // One stage has nothing to wait for.
    const bool simple =
        layout.pipeline == 1 && !fixed_.chunks && !Whole(Key::kChunks);
    const std::vector<std::string> names = Choices(
        fixed_.schedule, simple ? std::vector<std::string>{"1f1b"}
                                : std::vector<std::string>{
                                      "1f1b", "interleaved", "zero_bubble"});
    for (const std::string& name : names) {
      // Those are no use to a single micro-batch.
      if (micro_batches < 2 && name != "1f1b" && !fixed_.schedule &&
          !fixed_.chunks) {
        continue;
      }
      layout.schedule = name;
      const auto limits = parallel::ChunksOf(name);
      if (limits.ok()) Chunks(layout, *limits);
    }
  }

  void Chunks(Layout layout, const parallel::ChunkLimits& limits) {
    const int64_t layers = config_.model.layers / layout.pipeline;
    std::vector<int> free = PowersOfTwo(kMostChunks);
    if (layout.pipeline == 1) free = {limits.least};
    if (Whole(Key::kChunks)) free = UpTo(layers);
    for (const int chunks : Choices(fixed_.chunks, free)) {
      layout.chunks = chunks;
      if (chunks < limits.least || chunks > limits.most) {
        if (fixed_.chunks) Meets(Rule::kChunks, layout);
      } else if (chunks > layers) {
        Meets(Rule::kLayers, layout);
      } else if (goes_on_) {
        goes_on_ = visit_(layout);
      }
    }
  }

  const Ways& ways_;
  const train::EngineConfig& config_;
  const Fixed& fixed_;
  const int64_t devices_;
  absl::FunctionRef<bool(const Layout&)> visit_;
  bool goes_on_ = true;
  std::optional<Obstacle> obstacle_;
};

}  // namespace

std::optional<Obstacle> VisitLayouts(
    const Ways& ways, absl::FunctionRef<bool(const Layout&)> visit) {
  return Enumerator(ways, visit).All();
}

std::vector<Layout> EnumerateLayouts(const Ways& ways) {
  std::vector<Layout> layouts;
  VisitLayouts(ways, [&](const Layout& layout) {
    layouts.push_back(layout);
    return true;
  });
  return layouts;
}

bool AnyLayout(const Ways& ways) {
  bool any = false;
  VisitLayouts(ways, [&](const Layout&) {
    any = true;
    return false;
  });
  return any;
}

}  // namespace eisbach::plan
