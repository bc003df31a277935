#include "plan/least_squares.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "core/check.h"

namespace eisbach::plan {
namespace {

constexpr size_t kMostParts = 8;
// Parts that are so nearly multiples of each other are not told apart.
constexpr double kSmallestPivot = 1e-9;

// x of A x = b by elimination with pivots; nothing where A is singular.
std::optional<std::vector<double>> Solve(std::vector<std::vector<double>> a,
                                         std::vector<double> b) {
  const size_t n = b.size();
  for (size_t column = 0; column < n; ++column) {
    size_t pivot = column;
    for (size_t row = column + 1; row < n; ++row) {
      if (std::abs(a[row][column]) > std::abs(a[pivot][column])) pivot = row;
    }
    if (std::abs(a[pivot][column]) < kSmallestPivot) return std::nullopt;
    std::swap(a[pivot], a[column]);
    std::swap(b[pivot], b[column]);
    for (size_t row = column + 1; row < n; ++row) {
      const double factor = a[row][column] / a[column][column];
      for (size_t i = column; i < n; ++i) a[row][i] -= factor * a[column][i];
      b[row] -= factor * b[column];
    }
  }
  for (size_t row = n; row-- > 0;) {
    for (size_t i = row + 1; i < n; ++i) b[row] -= a[row][i] * b[i];
    b[row] /= a[row][row];
  }
  return b;
}

}  // namespace

std::vector<double> NonNegativeLeastSquares(
    absl::Span<const Observation> observations) {
  if (observations.empty()) return {};
  const size_t n = observations[0].parts.size();
  EISBACH_CHECK(n <= kMostParts);
  // Of columns of length 1: A'A, A'y and y'y.
  std::vector<double> norms(n, 0), right(n, 0);
  std::vector<std::vector<double>> normal(n, std::vector<double>(n, 0));
  double values = 0;
  for (const Observation& o : observations) {
    for (size_t i = 0; i < n; ++i) {
      norms[i] += std::pow(o.weight * o.parts[i], 2);
    }
  }
  for (double& norm : norms) norm = std::sqrt(norm);
  for (const Observation& o : observations) {
    const double w = o.weight * o.weight;
    values += w * o.value * o.value;
    for (size_t i = 0; i < n; ++i) {
      if (norms[i] == 0) continue;
      right[i] += w * o.parts[i] * o.value / norms[i];
      for (size_t j = 0; j < n; ++j) {
        if (norms[j] == 0) continue;
        normal[i][j] += w * o.parts[i] * o.parts[j] / norms[i] / norms[j];
      }
    }
  }
  std::vector<double> best(n, 0);
  double least = values;
  for (unsigned set = 1; set < 1U << n; ++set) {
    std::vector<size_t> of;
    for (size_t i = 0; i < n; ++i) {
      if ((set >> i & 1) != 0 && norms[i] > 0) of.push_back(i);
    }
    std::vector<double> some(of.size());
    std::vector<std::vector<double>> part(of.size(),
                                          std::vector<double>(of.size()));
    for (size_t i = 0; i < of.size(); ++i) {
      some[i] = right[of[i]];
      for (size_t j = 0; j < of.size(); ++j) part[i][j] = normal[of[i]][of[j]];
    }
    const auto x = Solve(part, some);
    if (!x || std::any_of(x->begin(), x->end(),
                          [](double value) { return value < 0; })) {
      continue;
    }
    double error = values;
    for (size_t i = 0; i < of.size(); ++i) error -= (*x)[i] * some[i];
    if (error >= least) continue;
    least = error;
    std::fill(best.begin(), best.end(), 0);
    for (size_t i = 0; i < of.size(); ++i) best[of[i]] = (*x)[i] / norms[of[i]];
  }
  return best;
}

std::vector<double> RobustLeastSquares(
    absl::Span<const Observation> observations) {
  constexpr int kRounds = 5;
  constexpr double kFar = 3;
  std::vector<Observation> weighted(observations.begin(), observations.end());
  std::vector<double> x = NonNegativeLeastSquares(weighted);
  for (int round = 0; round < kRounds && !x.empty(); ++round) {
    std::vector<double> errors;
    for (const Observation& o : observations) {
      double said = 0;
      for (size_t i = 0; i < x.size(); ++i) said += x[i] * o.parts[i];
      errors.push_back(std::abs(said - o.value) * o.weight);
    }
    std::vector<double> sorted = errors;
    std::sort(sorted.begin(), sorted.end());
    const double far = kFar * sorted[sorted.size() / 2];
    for (size_t i = 0; i < errors.size(); ++i) {
      weighted[i].weight = observations[i].weight;
      // Its square is what counts.
      if (errors[i] > far) weighted[i].weight *= std::sqrt(far / errors[i]);
    }
    x = NonNegativeLeastSquares(weighted);
  }
  return x;
}

}  // namespace eisbach::plan
