// The idle time and the memory of each schedule, as its authors give them.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "parallel/pipeline/simulate.h"

namespace eisbach::parallel::figures_test {
namespace {

struct Figures {
  double idle;            // of the longest stage, beyond its compute
  std::vector<int> peak;  // activations of chunks, by stage
};

// A forward of a whole stage takes `forward`, and so on.
Figures Measure(const std::string& name, int stages, int chunks,
                int microbatches, double forward = 1, double input = 1,
                double weight = 1) {
  const auto schedule = MakeSchedule(name, stages, chunks, microbatches);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  const StageTimes whole{forward, input + weight, input, weight};
  const auto run =
      Simulate(*schedule, EqualShares(schedule->shape, whole, /*transfer=*/0));
  EXPECT_TRUE(run.ok()) << run.status();
  Figures figures{run->seconds - microbatches * (forward + input + weight), {}};
  for (const StageTimeline& stage : run->stages) {
    figures.peak.push_back(stage.peak_activations);
  }
  return figures;
}

// Calls `check` for every shape with these chunks.
void Sweep(const std::string& name, int least_chunks, int most_chunks,
           const std::function<void(int, int, int, const Figures&)>& check) {
  for (int stages = 1; stages <= 8; ++stages) {
    for (int chunks = least_chunks; chunks <= most_chunks; ++chunks) {
      for (int n = 1; n <= 32; ++n) {
        SCOPED_TRACE(::testing::Message()
                     << name << ": " << stages << " stages, " << chunks
                     << " chunks, " << n << " micro-batches");
        check(stages, chunks, n, Measure(name, stages, chunks, n));
      }
    }
  }
}

// The rounds that micro-batches go in: the longest, of those that are there.
int LongestRound(int stages, int microbatches) {
  const int rounds = std::max(1, microbatches / stages);
  return (microbatches + rounds - 1) / rounds;
}

TEST(FiguresTest, OfGPipeAnd1F1B) {
  Sweep("gpipe", 1, 1, [](int p, int, int n, const Figures& figures) {
    EXPECT_NEAR(figures.idle, 3 * (p - 1), 1e-9);
    EXPECT_EQ(figures.peak, std::vector<int>(p, n));
  });
  Sweep("1f1b", 1, 1, [](int p, int, int n, const Figures& figures) {
    EXPECT_NEAR(figures.idle, 3 * (p - 1), 1e-9);
    for (int s = 0; s < p; ++s) {
      EXPECT_EQ(figures.peak[s], std::min(p - s, n));
    }
  });
}

// 1F1B's idle time divided by the chunks, for however many micro-batches; with
// fewer than stages each chunk after the first waits for those that are not
// there.
TEST(FiguresTest, OfInterleaved) {
  Sweep("interleaved", 2, 4, [](int p, int v, int n, const Figures& figures) {
    const double missing = (v - 1) * std::max(0, p - n);
    EXPECT_NEAR(figures.idle, 3.0 * (p - 1 + missing) / v, 1e-9);
    const int round = LongestRound(p, n);
    for (int s = 0; s < p; ++s) {
      EXPECT_LE(figures.peak[s],
                std::min(v * n, (v - 1) * round + 2 * (p - 1 - s) + 1));
    }
    if (n % p == 0 && n > p) {
      EXPECT_EQ(figures.peak[0], v * p + p - 1);
    }
  });
}

// A third of that: (stages - 1) x (forward + input half - weight half).
TEST(FiguresTest, OfZeroBubble) {
  Sweep("zero_bubble", 1, 4, [](int p, int v, int n, const Figures& figures) {
    if (n >= p) {
      EXPECT_NEAR(figures.idle, (p - 1.0) / v, 1e-9);
    }
    const double missing = (v - 1) * std::max(0, p - n);
    EXPECT_LE(figures.idle, 3.0 * (p - 1 + missing) / v + 1e-9);
    const int bound = std::min(v * n, (v - 1) * LongestRound(p, n) + p);
    for (const int peak : figures.peak) EXPECT_LE(peak, bound);
    if (n % p == 0) {
      EXPECT_EQ(figures.peak[0], v * p);
    }
  });
}

TEST(FiguresTest, OfZbV) {
  Sweep("zb_v", 2, 2, [](int p, int, int n, const Figures& figures) {
    if (n >= 2 * p - 1) {
      EXPECT_NEAR(figures.idle, (p - 1) / 2.0, 1e-9);
    }
    for (const int peak : figures.peak) EXPECT_LE(peak, 2 * std::min(p, n));
    if (n >= 2 * p) {
      EXPECT_EQ(figures.peak[0], 2 * p);
    }
  });
}

TEST(FiguresTest, OfDualPipeV) {
  Sweep("dual_pipe_v", 2, 2, [](int p, int, int n, const Figures& figures) {
    if (n >= 2 * p) {
      EXPECT_NEAR(figures.idle, (p - 1) / 2.0, 1e-9);
    }
    for (const int peak : figures.peak) {
      EXPECT_LE(peak, std::min(2 * n, 2 * p + 1));
    }
  });
}

// Where the halves take other times, of 8 stages and 32 micro-batches: as
// simulations of the authors' own orders without transfers say.
TEST(FiguresTest, OfUnequalHalves) {
  const auto idle = [](const std::string& name, int chunks, double input) {
    return Measure(name, 8, chunks, 32, 1, input, 2 - input).idle;
  };
  for (const double input : {1.2, 1.5}) {
    EXPECT_NEAR(idle("1f1b", 1, input), 21, 1e-9);
    EXPECT_NEAR(idle("interleaved", 2, input), 10.5, 1e-9);
    EXPECT_NEAR(idle("interleaved", 4, input), 5.25, 1e-9);
  }
  EXPECT_NEAR(idle("zb_v", 2, 1.2), 4.2, 1e-9);
  EXPECT_NEAR(idle("zb_v", 2, 1.5), 7.0, 1e-9);
  EXPECT_NEAR(idle("dual_pipe_v", 2, 1.2), 5.1, 1e-9);
  EXPECT_NEAR(idle("dual_pipe_v", 2, 1.5), 8.25, 1e-9);
  EXPECT_NEAR(idle("zero_bubble", 1, 1.2), 9.8, 1e-9);
  EXPECT_NEAR(idle("zero_bubble", 1, 1.5), 14.0, 1e-9);
}

}  // namespace
}  // namespace eisbach::parallel::figures_test
