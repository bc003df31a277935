#include "plan/search.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "plan/layout_bounds.h"
#include "plan/seen.h"
#include "plan/why_none.h"

namespace eisbach::plan {
namespace {

using nn::Recompute;

constexpr double kAny = std::numeric_limits<double>::infinity();

// The order of candidates, whichever thread found one first.
auto Rank(const Candidate& candidate) {
  const Layout& layout = candidate.layout;
  return std::make_tuple(candidate.score, layout.pipeline, layout.tensor,
                         layout.context, layout.chunks, layout.micro_batch,
                         layout.zero, layout.schedule, layout.expert);
}

// A division of the devices that nobody has tried.
struct Waiting {
  double score;  // at the least
  StepUse least;
  bool exact;     // of its blocks, not of the model's sizes alone
  size_t number;  // in the order of all
  Layout layout;

  friend bool operator>(const Waiting& a, const Waiting& b) {
    return std::tie(a.score, a.number) > std::tie(b.score, b.number);
  }
};

class Explorer {
 public:
  Explorer(const train::EngineConfig& config, const Hardware& hardware,
           const SearchOptions& options)
      : config_(config),
        hardware_(hardware),
        options_(options),
        bounds_(config, hardware, options.play),
        budget_(hardware.memory_bytes * options.memory_share) {}

  absl::StatusOr<SearchResult> Run() {
    const Ways ways = WaysOf(config_, hardware_, options_);
    VisitLayouts(ways, [&](const Layout& layout) {
      const StepUse least = bounds_.Rough(layout);
      waiting_.push(
          {ScoreOf(layout, least), least, false, waiting_.size(), layout});
      return true;
    });
    if (waiting_.empty()) return WhyNone(ways);
    const std::thread::id here = std::this_thread::get_id();
#pragma omp parallel
    Work(std::this_thread::get_id() == here);
    if (!stopped_.ok()) return stopped_;
    if (result_.fitting.empty() && result_.too_late > 0) {
      return late_.Refusal(options_.ranking, hardware_);
    }
    if (!refusal_.ok() && result_.fitting.empty() && result_.too_large == 0) {
      return refusal_;
    }
    std::sort(result_.fitting.begin(), result_.fitting.end(),
              [](const Candidate& a, const Candidate& b) {
                return Rank(a) < Rank(b);
              });
    if (!result_.fitting.empty()) {
      const Candidate& best = result_.fitting.front();
      EISBACH_RETURN_IF_ERROR(CheckEnds(best.layout.devices(),
                                        UseOf(best.forecast), options_.ranking,
                                        hardware_));
    }
    return std::move(result_);
  }

 private:
  // The most promising first, so that most of the others need no look: what
  // looks best of those that wait is either looked at more closely, and waits
  // again, or tried.
  void Work(bool tells) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      if (tells) Tell(lock);
      changed_.wait(lock, [&] { return !waiting_.empty() || busy_ == 0; });
      if (waiting_.empty()) break;
      Waiting next = waiting_.top();
      waiting_.pop();
      if (Hopeless(next.layout, next.least)) continue;
      ++busy_;
      lock.unlock();
      bool again = false;
      if (next.exact) {
        Explore(next.layout);
      } else {
        again = LookCloser(next);
      }
      lock.lock();
      if (again) waiting_.push(std::move(next));
      --busy_;
      changed_.notify_all();
    }
  }

  // Asks at most every tenth of a second whether to go on.
  void Tell(std::unique_lock<std::mutex>& lock) {
    using Clock = std::chrono::steady_clock;
    const auto now = Clock::now();
    if (!options_.progress || now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    const int64_t tried = result_.tried;
    const std::optional<Candidate> best = best_;
    lock.unlock();
    absl::Status status = options_.progress(tried, best ? &*best : nullptr);
    lock.lock();
    if (status.ok()) return;
    stopped_ = std::move(status);
    waiting_ = {};
  }

  // How many blocks of each stage a search has chosen to recompute; 0 where it
  // has no choice.
  int64_t Chosen(const Layout& layout) {
    if (layout.recompute == Recompute::kNothing ||
        options_.fixed.recompute_layers) {
      return 0;
    }
    return layout.recompute_layers == kAllBlocks ? bounds_.MostBlocks(layout)
                                                 : layout.recompute_layers;
  }

  void Choose(Layout& layout, int64_t blocks) {
    const bool all = blocks == bounds_.MostBlocks(layout);
    layout.recompute_layers = all ? kAllBlocks : blocks;
  }

  // Has it recompute as few blocks as may fit, at most `most`, where there is a
  // choice; false where it does not fit.
  bool ChooseFewest(Layout& layout, int64_t most) {
    layout.recompute_layers =
        options_.fixed.recompute_layers.value_or(kAllBlocks);
    if (Chosen(layout) == 0) return bounds_.Of(layout).memory <= budget_;
    const auto fewest = bounds_.FewestRecomputed(layout, most, budget_);
    Choose(layout, fewest.value_or(most));
    return fewest.has_value();
  }

  // Finds how soon its step may be over, if it fits memory. False where it
  // does not, whatever it does.
  bool LookCloser(Waiting& division) {
    std::optional<StepUse> soonest;
    Layout layout = division.layout;
    const int64_t blocks = bounds_.MostBlocks(layout);
    std::vector<int> zeros = ZerosOf(options_.fixed, layout);
    // What zero 0 takes at the least, zero 1 does.
    if (zeros.size() > 1) zeros.erase(zeros.begin());
    for (const Recompute recompute : RecomputesOf(options_.fixed)) {
      for (const int zero : zeros) {
        layout.recompute = recompute;
        layout.zero = zero;
        if (!ChooseFewest(layout, blocks)) continue;
        const StepUse least = bounds_.Of(layout).use;
        if (!soonest || least.seconds < soonest->seconds) soonest = least;
      }
    }
    if (!soonest) {
      Explore(division.layout);  // which counts its ways
      return false;
    }
    division.exact = true;
    division.least.seconds = std::max(division.least.seconds, soonest->seconds);
    division.score = ScoreOf(layout, division.least);
    return true;
  }

  enum class Outcome : uint8_t { kFits, kTooLarge, kTooSlow, kRefused };
  struct Attempt {
    Outcome outcome;
    Candidate candidate{};  // where it fits
    int64_t memory = 0;     // that it takes at least; 0: nobody knows
  };

  // Tries ways to fit, from those that cost nothing on.
  void Explore(Layout layout) {
    const std::vector<int> zeros = ZerosOf(options_.fixed, layout);
    // Of each kind of recomputing, how many blocks are worth a try.
    std::vector<int64_t> most(RecomputesOf(options_.fixed).size(),
                              bounds_.MostBlocks(layout));
    std::optional<Candidate> best, whole;
    for (const int zero : zeros) {
      layout.zero = zero;
      std::optional<Candidate> found = Quickest(layout, most, best);
      if (zero == 0 && zeros.size() > 1) {
        // Of this and zero 1, which differ little, the better one counts.
        whole = std::move(found);
        most.assign(most.size(), bounds_.MostBlocks(layout));
        continue;
      }
      if (whole && (!found || whole->score <= found->score)) found = whole;
      whole.reset();
      if (!found) continue;
      Keep(*found);
      if (!best || found->score < best->score) best = std::move(found);
    }
  }

  // Of ways to recompute that fit and are better than `known`, the best.
  // Dividing more is of use where `most`, which this lowers, are fewer.
  std::optional<Candidate> Quickest(Layout layout, std::vector<int64_t>& most,
                                    const std::optional<Candidate>& known) {
    const std::vector<Recompute> kinds = RecomputesOf(options_.fixed);
    std::optional<Candidate> best;
    for (size_t kind = 0; kind < kinds.size(); ++kind) {
      if (most[kind] == 0) continue;
      layout.recompute = kinds[kind];
      Attempt attempt = TryFewest(layout, most[kind], best ? best : known);
      if (attempt.outcome == Outcome::kFits) {
        most[kind] = std::max<int64_t>(Chosen(attempt.candidate.layout) - 1, 0);
        const std::optional<Candidate>& rival = best ? best : known;
        if (!rival || attempt.candidate.score < rival->score) {
          best = std::move(attempt.candidate);
        }
      }
      // A stronger kind for fewer blocks may be better than a weaker one, but
      // nothing is better than none.
      if (layout.recompute != Recompute::kNothing) continue;
      if (attempt.outcome == Outcome::kFits) most.assign(most.size(), 0);
      if (attempt.outcome == Outcome::kTooSlow) break;
    }
    return best;
  }

  // Tries it with as few blocks recomputed as fit, at most `most`, if at the
  // least it takes less than `known` does at the least: both are the same
  // division of the devices, whose bounds are as far off.
  Attempt TryFewest(Layout layout, int64_t most,
                    const std::optional<Candidate>& known) {
    if (!ChooseFewest(layout, most)) {
      CountTry(/*too_large=*/true);
      return {Outcome::kTooLarge};
    }
    if (known && LeastScore(layout) >= LeastScore(known->layout)) {
      return {Outcome::kTooSlow};
    }
    if (Chosen(layout) == 0) return Try(layout);
    // With `few` it is too large, with `enough` it may fit.
    int64_t enough = Chosen(layout), few = enough - 1;
    Attempt best = Try(layout);
    while (best.outcome == Outcome::kTooLarge && enough < most) {
      few = enough;
      Choose(layout, few);
      enough = MoreThan(layout, most, best.memory);
      Choose(layout, enough);
      best = Try(layout);
    }
    for (bool sure = true; best.outcome == Outcome::kFits && enough - few > 1;
         sure = false) {
      const int64_t fewer = sure ? enough - 1 : few + (enough - few) / 2;
      Choose(layout, fewer);
      Attempt attempt = Try(layout);
      const bool fits = attempt.outcome == Outcome::kFits;
      (fits ? enough : few) = fewer;
      if (fits) best = std::move(attempt);
    }
    return best;
  }

  // Of how many blocks to recompute, at most `most`, where those of `layout`
  // are too few, with which it takes so much memory: as many as would be enough
  // if bounds were that far off everywhere.
  int64_t MoreThan(const Layout& layout, int64_t most, int64_t memory) {
    const int64_t few = Chosen(layout);
    // All may take more than all but one (LayoutBounds::FewestRecomputed).
    if (few >= most - 1) return most;
    if (memory == 0) return few + 1;
    const double share =
        bounds_.Of(layout).memory / static_cast<double>(memory);
    const auto enough =
        bounds_.FewestRecomputed(layout, most - 1, budget_ * share);
    return std::max(enough.value_or(most - 1), few + 1);
  }

  Attempt Try(const Layout& layout) {
    const StepUse least = bounds_.Of(layout).use;
    if (IsHopeless(layout, least) || KnownTooSlow(layout, least)) {
      return {Outcome::kTooSlow};
    }
    if (KnownTooLarge(layout)) {
      CountTry(/*too_large=*/true);
      return {Outcome::kTooLarge};
    }
    absl::StatusOr<parallel::Mesh> mesh = MeshOf(layout);
    if (!mesh.ok()) {
      CountRefused(layout, mesh.status());
      return {Outcome::kRefused};
    }
    PlayOptions play = options_.play;
    play.experts = WithLayout(play.experts, layout);
    int64_t memory = 0;
    absl::StatusOr<Forecast> forecast = ForecastWithin(
        Limits(layout, least), WithLayout(config_, layout, *mesh, hardware_),
        *mesh, hardware_, play, &memory);
    if (absl::IsDeadlineExceeded(forecast.status())) {
      CountTry(/*too_large=*/false);
      const std::lock_guard<std::mutex> lock(mutex_);
      slow_.Add(layout, ScoreOf(layout, least));
      return {Outcome::kTooSlow};
    }
    if (absl::IsResourceExhausted(forecast.status())) {
      CountTry(/*too_large=*/true);
      const std::lock_guard<std::mutex> lock(mutex_);
      large_.Add(layout);
      return {Outcome::kTooLarge, {}, memory};
    }
    if (!forecast.ok()) {
      CountRefused(layout, forecast.status());
      return {Outcome::kRefused};
    }
    const bool fits = static_cast<double>(forecast->memory()) <= budget_;
    CountTry(!fits);
    if (fits) {
      const double score = ScoreOf(layout, UseOf(*forecast));
      return {Outcome::kFits, {layout, *std::move(forecast), score}};
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    large_.Add(layout);
    return {Outcome::kTooLarge, {}, memory};
  }

  // Of what fits.
  void Keep(Candidate candidate) {
    const Layout& layout = candidate.layout;
    const StepUse use = UseOf(candidate.forecast);
    // With the least that it may do to fit.
    const bool as_it_is =
        (layout.zero <= 1 || options_.fixed.zero) &&
        layout.recompute == RecomputesOf(options_.fixed).front() &&
        Chosen(layout) <= 1;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!InTimeOn(layout, use)) {
      ++result_.too_late;
      late_.Add(layout, use);
      return;
    }
    if (as_it_is) settled_.Add(layout);
    result_.fitting.push_back(std::move(candidate));
    Found(result_.fitting.back());
  }

  // What a layout may take that is worth a whole look; `least`: it does.
  StepLimits Limits(const Layout& layout, const StepUse& least) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return {.seconds = MostSeconds(layout.devices(), least, most_,
                                   options_.ranking, hardware_),
            .memory = budget_};
  }

  bool KnownTooLarge(const Layout& layout) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return large_.Covers(layout);
  }

  // Whether ways like it took too long; counts it.
  bool KnownTooSlow(const Layout& layout, const StepUse& least) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool slow = slow_.Covers(layout, ScoreOf(layout, least));
    result_.hopeless += slow;
    return slow;
  }

  double ScoreOf(const Layout& layout, const StepUse& use) const {
    return Score(layout.devices(), use, options_.ranking, hardware_);
  }

  double LeastScore(const Layout& layout) {
    return ScoreOf(layout, bounds_.Of(layout).use);
  }

  bool InTimeOn(const Layout& layout, const StepUse& use) const {
    return InTime(layout.devices(), use, options_.ranking, hardware_);
  }

  void Found(const Candidate& candidate) {
    if (!best_ || Rank(candidate) < Rank(*best_)) best_ = candidate;
    scores_.push(candidate.score);
    if (scores_.size() > options_.wanted) scores_.pop();
    most_ = options_.far_behind * best_->score;
    if (options_.far_behind < kAny && scores_.size() == options_.wanted) {
      most_ = std::min(most_, scores_.top());
    }
  }

  // Whether a layout that takes at least `least` need not be tried; counts it.
  // Under the lock.
  bool Hopeless(const Layout& layout, const StepUse& least) {
    const bool hopeless =
        ScoreOf(layout, least) > most_ || settled_.Covers(layout) ||
        (!InTimeOn(layout, least) &&
         (!result_.fitting.empty() || least.seconds > late_.seconds()));
    result_.hopeless += hopeless;
    return hopeless;
  }

  bool IsHopeless(const Layout& layout, const StepUse& least) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return Hopeless(layout, least);
  }

  void CountTry(bool too_large) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++result_.tried;
    result_.too_large += too_large;
  }

  // Of refusals that of the most copies tells most of what there is to divide.
  void CountRefused(const Layout& layout, const absl::Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++result_.tried;
    const auto order = [](int64_t copies, const absl::Status& refused) {
      return std::make_tuple(refused.ok(), -copies, refused.message());
    };
    if (order(layout.copies(), status) < order(refused_copies_, refusal_)) {
      refusal_ = status;
      refused_copies_ = layout.copies();
    }
  }

  const train::EngineConfig& config_;
  const Hardware& hardware_;
  const SearchOptions& options_;
  LayoutBounds bounds_;
  const double budget_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;
  int busy_ = 0;  // threads that may still add to them
  std::optional<Candidate> best_;
  std::priority_queue<double> scores_;  // the worst of the best first
  double most_ = kAny;                  // score that is worth a look
  TooLate late_;
  TooLarge large_;
  Settled settled_;
  TooSlow slow_;
  std::chrono::steady_clock::time_point next_{};  // when it is told again
  absl::Status stopped_;
  SearchResult result_;
  absl::Status refusal_;
  int64_t refused_copies_ = 0;
};

}  // namespace

Ways WaysOf(const train::EngineConfig& config, const Hardware& hardware,
            const SearchOptions& options) {
  return {config,        hardware,           options.devices,
          options.fixed, options.ranking.by, options.play.experts.count};
}

absl::StatusOr<SearchResult> Search(const train::EngineConfig& config,
                                    const Hardware& hardware,
                                    const SearchOptions& options) {
  EISBACH_RETURN_IF_ERROR(Check(hardware));
  EISBACH_RETURN_IF_ERROR(Check(options.ranking, hardware));
  EISBACH_RETURN_IF_ERROR(
      Check(options.play.products, config.update.compute_dtype, hardware));
  EISBACH_RETURN_IF_ERROR(Check(options.play.experts, config));
  return Explorer(config, hardware, options).Run();
}

}  // namespace eisbach::plan
