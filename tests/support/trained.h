#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/gather.h"
#include "gtest/gtest.h"
#include "support/curves.h"
#include "support/toy.h"

// What a training run on a layout gives, and how two layouts must agree.
namespace eisbach::test {

using Gradients = std::vector<checkpoint::LogicalTensor>;

struct Trained {
  Curve curve;  // of every step
  // Of step 1, before clipping, without the loss scale; on world rank 0.
  Gradients gradients;
  // What they are without rounding to 16 bits: of TrainOneRank, else empty.
  Gradients exact = {};
};

// Trains `engine` on the toy's batches. Every rank of its mesh calls it.
inline absl::StatusOr<Trained> TrainAndGather(train::Engine& engine,
                                              int steps) {
  Trained trained;
  for (int step = 1; step <= steps; ++step) {
    EISBACH_ASSIGN_OR_RETURN(train::StepResult result, ToyStep(engine));
    trained.curve.push_back(result);
    if (step > 1) continue;
    EISBACH_ASSIGN_OR_RETURN(
        trained.gradients,
        checkpoint::GatherParameters(engine.update().parameters(),
                                     checkpoint::ParameterValue::kGradient,
                                     engine.context()));
    // Stages with several chunks have theirs in another order.
    std::sort(trained.gradients.begin(), trained.gradients.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    for (checkpoint::LogicalTensor& gradient : trained.gradients) {
      for (float& value : gradient.values) {
        value /= static_cast<float>(result.loss_scale);
      }
    }
  }
  return trained;
}

// The same on rank threads, as rank 0 sees it.
inline absl::StatusOr<Trained> TrainAndGather(const Layout& layout,
                                              const train::EngineConfig& config,
                                              int steps) {
  Trained trained;
  EISBACH_RETURN_IF_ERROR(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, /*threads=*/1, [&](comm::World& world) {
        return WithEngine(world, layout, config,
                          [&](train::Engine& engine) -> absl::Status {
                            EISBACH_ASSIGN_OR_RETURN(
                                Trained mine, TrainAndGather(engine, steps));
                            if (world.rank() == 0) trained = std::move(mine);
                            return absl::OkStatus();
                          });
      }));
  return trained;
}

// What one rank does; where it computes in 16 bits also what that rounds.
inline absl::StatusOr<Trained> TrainOneRank(train::EngineConfig config,
                                            int steps) {
  EISBACH_ASSIGN_OR_RETURN(Trained trained, TrainAndGather({}, config, steps));
  if (config.update.compute_dtype == DType::kF32) return trained;
  config.update.compute_dtype = DType::kF32;
  EISBACH_ASSIGN_OR_RETURN(Trained in_f32, TrainAndGather({}, config, 1));
  trained.exact = std::move(in_f32.gradients);
  return trained;
}

// How far a layout may be from one rank.
struct Tolerances {
  double curve;      // relative, of loss and gradient norm in each step
  double gradients;  // of a tensor's largest value, in step 1
  // Absolute: softmax does not see the key's bias, whose gradient is rounding
  // alone.
  double key_bias;
};
inline constexpr Tolerances kFloat32Tolerance{1e-5, 1e-4, 1e-8};
// Three digits are kept. f16 keeps more, but only so many small numbers.
inline constexpr Tolerances kBfloat16Tolerance{1e-2, 5e-2, 2e-6};

inline const Tolerances& ToleranceOf(DType compute) {
  return compute == DType::kF32 ? kFloat32Tolerance : kBfloat16Tolerance;
}

// Layouts round to 16 bits at other places than one rank does. What that is to
// a gradient which is a small sum of large terms (of a head norm, of a slope)
// no part of its largest value tells: but so many times what one rank's
// rounding is to it, in the block where that is most (a slope is one number,
// which rounding may spare by chance).
inline constexpr double kRoundings = 3;

// "blocks.7.mlp.alpha_n" as "blocks..mlp.alpha_n".
inline std::string InAnyBlock(std::string name) {
  if (name.starts_with("blocks.")) {
    const size_t begin = name.find('.') + 1;
    name.erase(begin, name.find('.', begin) - begin);
  }
  return name;
}

inline double LargestDistance(const std::vector<float>& got,
                              const std::vector<float>& want) {
  double largest = 0;
  for (size_t e = 0; e < want.size(); ++e) {
    // Not max(): it would drop a NaN.
    const double distance = std::abs(static_cast<double>(got[e]) - want[e]);
    if (!(distance <= largest)) largest = distance;
  }
  return largest;
}

// The largest distance of each tensor in any block, by its name without the
// block's number.
inline std::map<std::string, double> Roundings(const Gradients& rounded,
                                               const Gradients& exact) {
  std::map<std::string, double> roundings;
  for (size_t i = 0; i < exact.size(); ++i) {
    double& most = roundings[InAnyBlock(exact[i].name)];
    most = std::max(most, LargestDistance(rounded[i].values, exact[i].values));
  }
  return roundings;
}

inline double LargestValue(const std::vector<float>& values) {
  return LargestDistance(values, std::vector<float>(values.size(), 0.0f));
}

// What a tensor's distance is a part of: its largest value. One number alone,
// such as a slope, may be small by chance in a block: its largest in any.
inline double ScaleOf(const Gradients& gradients, size_t i) {
  if (gradients[i].values.size() != 1) return LargestValue(gradients[i].values);
  double largest = 0;
  for (const auto& other : gradients) {
    if (InAnyBlock(other.name) != InAnyBlock(gradients[i].name)) continue;
    largest = std::max(largest, LargestValue(other.values));
  }
  return largest;
}

// The gradients that are further apart than `tolerance`, a line each; empty
// when all are close. `exact`: those that `want` are without rounding to 16
// bits; empty where they are not rounded.
inline std::string DescribeApart(const Gradients& got, const Gradients& want,
                                 const Tolerances& tolerance,
                                 const Gradients& exact = {}) {
  if (got.size() != want.size()) {
    return absl::StrCat(got.size(), " tensors instead of ", want.size(), "\n");
  }
  const std::map<std::string, double> roundings = Roundings(want, exact);
  std::string apart;
  for (size_t i = 0; i < want.size(); ++i) {
    if (got[i].name != want[i].name || got[i].shape != want[i].shape) {
      absl::StrAppend(&apart, got[i].name, got[i].shape.ToString(),
                      " instead of ", want[i].name, want[i].shape.ToString(),
                      "\n");
      continue;
    }
    const double error = LargestDistance(got[i].values, want[i].values);
    const double largest = ScaleOf(want, i);
    double allowed = want[i].name.ends_with("key.bias")
                         ? tolerance.key_bias
                         : tolerance.gradients * largest;
    if (!exact.empty()) {
      allowed = std::max(allowed,
                         kRoundings * roundings.at(InAnyBlock(want[i].name)));
    }
    if (!(error <= allowed)) {
      absl::StrAppend(&apart, want[i].name, " is ", error, " apart where ",
                      largest, " is its largest value\n");
    }
  }
  return apart;
}

inline void ExpectTrainsLike(const Trained& got, const Trained& want,
                             const Tolerances& tolerance,
                             const std::string& what) {
  ExpectCloseCurves(got.curve, want.curve, tolerance.curve, what);
  EXPECT_FALSE(want.gradients.empty()) << what;
  EXPECT_EQ(DescribeApart(got.gradients, want.gradients, tolerance, want.exact),
            "")
      << what;
}

}  // namespace eisbach::test
