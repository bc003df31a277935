#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "train/engine.h"

namespace eisbach::test {

using Curve = std::vector<train::StepResult>;

// Loss and gradient norm of every step within `tolerance`, relative.
inline void ExpectCloseCurves(const Curve& got, const Curve& want,
                              double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  const auto relative = [](double a, double b) {
    return std::abs(a - b) / std::abs(b);
  };
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_LE(relative(got[i].loss, want[i].loss), tolerance)
        << what << ": loss of step " << i + 1;
    EXPECT_LE(relative(got[i].grad_norm, want[i].grad_norm), tolerance)
        << what << ": grad_norm of step " << i + 1 << ", " << want[i].grad_norm;
  }
}

inline void ExpectSameCurves(const Curve& got, const Curve& want,
                             const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].loss, want[i].loss) << what << ", step " << i + 1;
    EXPECT_EQ(got[i].grad_norm, want[i].grad_norm)
        << what << ", step " << i + 1;
  }
}

}  // namespace eisbach::test
