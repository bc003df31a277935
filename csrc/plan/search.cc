#include "plan/search.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "parallel/pipeline/schedule.h"
#include "plan/collective_seconds.h"
#include "plan/seen.h"

namespace eisbach::plan {
namespace {

using nn::Recompute;

// A model's parts beyond which schedules bring nothing but transfers.
constexpr int kMostChunks = 8;
constexpr int64_t kMostMicroBatch = 16;
// Of the best, how much more a layout may take and still be looked at.
constexpr double kFarBehind = 1.08;
// Tokens of a row below which its ranks have too little each.
constexpr int64_t kLeastPart = 1024;

template <typename T>
std::vector<T> Choices(const std::optional<T>& fixed, std::vector<T> free) {
  if (fixed) return {*fixed};
  return free;
}

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

// Layouts that differ in what they do to fit, which Explore chooses.
class Enumerator {
 public:
  Enumerator(const train::EngineConfig& config, const Hardware& hardware,
             const SearchOptions& options)
      : config_(config), hardware_(hardware), options_(options) {}

  std::vector<Layout> All() {
    const models::ModelConfig& model = config_.model;
    const Fixed& fixed = options_.fixed;
    const int64_t devices = options_.devices;
    const auto tensors =
        Choices(fixed.tensor,
                Divisors(model.heads,
                         std::min<int64_t>(devices, hardware_.domain.devices)));
    const auto contexts = Choices(
        fixed.context,
        PowersOfTwo(std::min(devices, model.context / (2 * kLeastPart))));
    const auto pipelines = Choices(
        fixed.pipeline, Pipelines(std::min<int64_t>(devices, model.layers)));
    for (const int tensor : tensors) {
      for (const int context :
           contexts.empty() ? std::vector<int>{1} : contexts) {
        for (const int pipeline : pipelines) {
          const int64_t copy = int64_t{1} * tensor * context * pipeline;
          if (copy > devices) continue;
          Batches({.tensor = tensor, .pipeline = pipeline, .context = context},
                  devices / copy);
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
         Choices(options_.fixed.micro_batch, MicroBatches())) {
      if (config_.global_batch % micro_batch != 0) continue;
      layout.micro_batch = micro_batch;
      const int64_t rows = config_.global_batch / micro_batch;
      std::vector<int> data = Divisors(rows, most_data);
      if (options_.fixed.data) {
        data = {*options_.fixed.data};
        if (data[0] > most_data || rows % data[0] != 0) continue;
      } else {
        data = Worthwhile(data);
      }
      for (const int d : data) {
        layout.data = d;
        Schedules(layout, rows / d);
      }
    }
  }

  // Of numbers of data ranks, the most; where fewer may be better, some of
  // those below it, too.
  std::vector<int> Worthwhile(const std::vector<int>& data) const {
    std::vector<int> chosen;
    for (auto d = data.rbegin(); d != data.rend(); ++d) {
      if (chosen.empty() || 2 * *d <= chosen.back()) chosen.push_back(*d);
      if (options_.ranking.by == RankBy::kTime) break;
    }
    return chosen;
  }

  std::vector<int64_t> MicroBatches() const {
    std::vector<int64_t> found;
    for (int64_t n = 1; n <= kMostMicroBatch; n *= 2) found.push_back(n);
    return found;
  }

  void Schedules(Layout layout, int64_t micro_batches) {
    if (layout.pipeline == 1) {
      layout.schedule = options_.fixed.schedule.value_or("1f1b");
      layout.chunks = options_.fixed.chunks.value_or(1);
      layouts_.push_back(layout);
      return;
    }
    const std::vector<std::string> names =
        Choices(options_.fixed.schedule,
                std::vector<std::string>{"1f1b", "interleaved", "zero_bubble"});
    for (const std::string& name : names) {
      layout.schedule = name;
      const auto limits = parallel::ChunksOf(name);
      if (!limits.ok()) continue;
      const int64_t layers = config_.model.layers / layout.pipeline;
      for (const int chunks :
           Choices(options_.fixed.chunks, PowersOfTwo(kMostChunks))) {
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
  const SearchOptions& options_;
  std::vector<Layout> layouts_;
};

// The order of candidates, whichever thread found one first.
auto Rank(const Candidate& candidate) {
  const Layout& layout = candidate.layout;
  return std::make_tuple(candidate.score, layout.pipeline, layout.tensor,
                         layout.context, layout.chunks, layout.micro_batch,
                         layout.zero, layout.schedule);
}

class Explorer {
 public:
  Explorer(const train::EngineConfig& config, const Hardware& hardware,
           const SearchOptions& options)
      : config_(config), hardware_(hardware), options_(options) {
    budget_ = hardware.memory_bytes * options.memory_share;
  }

  absl::StatusOr<SearchResult> Run() {
    std::vector<Layout> layouts =
        Enumerator(config_, hardware_, options_).All();
    // The most promising first, so that most of the others need no look.
    using Promise = std::pair<int, double>;
    std::vector<std::pair<Promise, Layout>> order;
    for (Layout& layout : layouts) {
      const bool time = options_.ranking.by == RankBy::kTime;
      const double score = ScoreOf(layout, LeastUse(layout));
      order.emplace_back(Promise{time ? 0 : LookFirst(layout.data), score},
                         std::move(layout));
    }
    std::stable_sort(
        order.begin(), order.end(),
        [](const auto& a, const auto& b) { return a.first < b.first; });
    const auto count = static_cast<int64_t>(order.size());
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < count; ++i) {
      Explore(order[i].second);
    }
    if (result_.fitting.empty() && result_.too_late > 0) {
      return late_.Refusal(options_.ranking, hardware_);
    }
    if (result_.fitting.empty() && !result_.smallest) {
      if (!refusal_.ok()) return refusal_;
      if (count > 0) return std::move(result_);  // far too large, all of them
      return absl::InvalidArgumentError(absl::StrCat(
          "train.global_batch=", config_.global_batch,
          " has no layout on at most ", options_.devices,
          " devices where parallel.data x train.micro_batch divides it and the "
          "given keys stay"));
    }
    std::sort(result_.fitting.begin(), result_.fitting.end(),
              [](const Candidate& a, const Candidate& b) {
                return Rank(a) < Rank(b);
              });
    return std::move(result_);
  }

 private:
  // Tries ways to fit, from those that cost nothing on.
  void Explore(Layout layout) {
    const StepUse least = LeastUse(layout);
    const auto zeros =
        Choices(options_.fixed.zero, layout.data * layout.context > 1
                                         ? std::vector<int>{1, 2, 3}
                                         : std::vector<int>{0});
    const auto recomputes = Choices(
        options_.fixed.recompute,
        std::vector<Recompute>{Recompute::kNothing, Recompute::kSelective,
                               Recompute::kBlock});
    size_t enough = recomputes.size();  // with less dividing
    for (const int zero : zeros) {
      for (size_t r = 0; r < enough; ++r) {
        layout.zero = zero;
        layout.recompute = recomputes[r];
        // A forward again is a third of a step.
        const bool again = layout.recompute == Recompute::kBlock;
        if (Hopeless(layout, least * (again ? 4.0 / 3 : 1))) break;
        if (Try(layout, r == 0 && zero == zeros[0])) {
          enough = r;
          break;
        }
      }
    }
  }

  // Whether it fits. `as_it_is`: with the least that it may do for that.
  bool Try(const Layout& layout, bool as_it_is) {
    if (KnownTooLarge(layout)) {
      Count(absl::OkStatus(), true);
      return false;
    }
    if (const double least = LeastMemory(layout); least > budget_) {
      Count(absl::OkStatus(), true);
      const std::lock_guard<std::mutex> lock(mutex_);
      result_.least_memory = result_.least_memory == 0
                                 ? least
                                 : std::min(result_.least_memory, least);
      return false;
    }
    absl::StatusOr<parallel::Mesh> mesh = MeshOf(layout);
    if (!mesh.ok()) {
      Count(mesh.status(), false);
      return false;
    }
    absl::StatusOr<Forecast> forecast =
        ForecastStep(WithLayout(config_, layout, *mesh, hardware_), *mesh,
                     hardware_, options_.play);
    if (!forecast.ok()) {
      Count(forecast.status(), false);
      return false;
    }
    const bool fits = static_cast<double>(forecast->memory()) <= budget_;
    Count(absl::OkStatus(), !fits);
    const StepUse use = UseOf(*forecast);
    const double score = ScoreOf(layout, use);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!fits) large_.Add(layout);
    if (fits && !InTimeOn(layout, use)) {
      ++result_.too_late;
      late_.Add(layout, use);
    } else if (fits) {
      best_score_ = std::min(best_score_, score);
      if (as_it_is) settled_.Add(layout);
      result_.fitting.push_back({layout, *std::move(forecast), score});
    } else if (!result_.smallest ||
               result_.smallest->forecast.memory() > forecast->memory()) {
      result_.smallest = Candidate{layout, *std::move(forecast), score};
    }
    return fits;
  }

  bool KnownTooLarge(const Layout& layout) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return large_.Covers(layout);
  }

  double ScoreOf(const Layout& layout, const StepUse& use) const {
    return Score(layout.devices(), use, options_.ranking, hardware_);
  }

  bool InTimeOn(const Layout& layout, const StepUse& use) const {
    return InTime(layout.devices(), use, options_.ranking, hardware_);
  }

  // Whether a layout that takes at least `least` needs no look.
  bool Hopeless(const Layout& layout, const StepUse& least) {
    const double score = ScoreOf(layout, least);
    const bool late = !InTimeOn(layout, least);
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool hopeless =
        score > kFarBehind * best_score_ || settled_.Covers(layout) ||
        (late && (!result_.fitting.empty() || least.seconds > late_.seconds()));
    result_.hopeless += hopeless;
    return hopeless;
  }

  // A step of `layout` takes more: products at the rate of the largest, as
  // if layers were divided evenly, the schedule's idle time, and what tensor
  // ranks exchange.
  StepUse LeastUse(const Layout& layout) const {
    const models::ModelConfig& model = config_.model;
    const double tokens = static_cast<double>(config_.global_batch) *
                          static_cast<double>(model.context);
    const double devices = static_cast<double>(layout.devices());
    const PeakRates& peak = hardware_.peak;
    double rate =
        config_.update.compute_dtype == DType::kF32 ? peak.f32 : peak.f16;
    if (options_.play.products != ProductType::kAsIs) {
      rate = std::max({rate, peak.f8, peak.f4});
    }
    const double computing = models::TrainingFlopsPerToken(model) * tokens /
                             devices / (rate * hardware_.matmul_fraction);
    double seconds = computing;
    if (layout.tensor > 1) {
      // Two sums a layer and direction, each of the activations of a token.
      const double bytes = tokens / (1.0 * layout.data * layout.context) *
                           static_cast<double>(model.hidden) * 2;
      const GroupPlace place = PlaceOf(layout.tensor, 1, hardware_);
      seconds += 4.0 * static_cast<double>(model.layers) / layout.pipeline *
                 (CollectiveSeconds("all_reduce", bytes, place, hardware_) -
                  CollectiveSeconds("all_reduce", 0, place, hardware_));
    }
    const double micro_batches =
        static_cast<double>(config_.global_batch) /
        static_cast<double>(layout.micro_batch * layout.data);
    double idle = (layout.pipeline - 1.0) / layout.chunks;
    if (layout.schedule == "zero_bubble") idle /= 3;
    return {seconds * (1 + idle / micro_batches), computing};
  }

  void Count(const absl::Status& status, bool too_large) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++result_.tried;
    result_.too_large += too_large;
    if (!status.ok() &&
        (refusal_.ok() || status.message() < refusal_.message())) {
      refusal_ = status;
    }
  }

  // Weights, gradients and state of a device, were they divided evenly.
  double LeastMemory(const Layout& layout) const {
    const double numbers =
        static_cast<double>(models::ParameterCount(config_.model)) /
        (1.0 * layout.tensor * layout.pipeline);
    const double copies = 1.0 * layout.data * layout.context;
    const bool small = config_.update.compute_dtype != DType::kF32;
    const double weights = small ? 2 : 4, gradients = 4;
    const double state = 8 + (small ? 4 : 0);
    return numbers * (weights / (layout.zero >= 3 ? copies : 1) +
                      gradients / (layout.zero >= 2 ? copies : 1) +
                      state / (layout.zero >= 1 ? copies : 1)) +
           LeastActivations(layout);
  }

  // Of the micro-batches that the first stage has in flight, what every block
  // keeps: its input, or those of its projections too, or all that is as wide.
  double LeastActivations(const Layout& layout) const {
    const models::ModelConfig& model = config_.model;
    const double hidden = static_cast<double>(model.hidden);
    double width = hidden;
    if (layout.recompute == Recompute::kSelective) width = 3 * hidden;
    if (layout.recompute == Recompute::kNothing) {
      width =
          4 * hidden + static_cast<double>(2 * model.kv_heads * model.head_dim +
                                           2 * model.ffn_hidden);
    }
    const double tokens = static_cast<double>(layout.micro_batch) *
                          static_cast<double>(model.context) / layout.context;
    const double micro_batches =
        static_cast<double>(config_.global_batch) /
        static_cast<double>(layout.micro_batch * layout.data);
    const double flights = std::min<double>(layout.pipeline, micro_batches);
    const double blocks = static_cast<double>(model.layers / layout.pipeline);
    return static_cast<double>(SizeOf(config_.update.compute_dtype)) * width *
           tokens * blocks * flights / layout.tensor;
  }

  const train::EngineConfig& config_;
  const Hardware& hardware_;
  const SearchOptions& options_;
  double budget_ = 0;
  double best_score_ = std::numeric_limits<double>::infinity();
  TooLate late_;
  TooLarge large_;
  Settled settled_;
  std::mutex mutex_;
  SearchResult result_;
  absl::Status refusal_;
};

}  // namespace

train::EngineConfig WithLayout(const train::EngineConfig& config,
                               const Layout& layout) {
  train::EngineConfig changed = config;
  changed.pipeline_schedule = layout.schedule;
  changed.chunks = layout.chunks;
  changed.update.zero.zero = layout.zero;
  changed.micro_batch = layout.micro_batch;
  changed.recompute = layout.recompute;
  return changed;
}

train::EngineConfig WithLayout(const train::EngineConfig& config,
                               const Layout& layout, const parallel::Mesh& mesh,
                               const Hardware& hardware) {
  train::EngineConfig changed = WithLayout(config, layout);
  changed.context_neighbours =
      PlaceOf("context", layout.context, mesh, hardware).inside;
  return changed;
}

absl::StatusOr<parallel::Mesh> MeshOf(const Layout& layout) {
  return parallel::MakeMesh(static_cast<int>(layout.devices()),
                            {.data = layout.data,
                             .tensor = layout.tensor,
                             .pipeline = layout.pipeline,
                             .context = layout.context});
}

absl::StatusOr<SearchResult> Search(const train::EngineConfig& config,
                                    const Hardware& hardware,
                                    const SearchOptions& options) {
  EISBACH_RETURN_IF_ERROR(Check(hardware));
  EISBACH_RETURN_IF_ERROR(Check(options.ranking, hardware));
  return Explorer(config, hardware, options).Run();
}

}  // namespace eisbach::plan
