#include "tensor/init.h"

#include <cmath>

#include "support/op_testing.h"
#include "tensor/flat_buffer.h"

namespace eisbach::init_test {
namespace {

constexpr Init kNormal = {Init::Kind::kNormal, 0.02f};

LogicalSlice Slice(std::string name, Shape shape, Shape start, Shape extent,
                   int64_t local_row) {
  LogicalSlice slice;
  slice.name = std::move(name);
  slice.shape = std::move(shape);
  slice.start = std::move(start);
  slice.extent = std::move(extent);
  slice.local_row = local_row;
  return slice;
}

// The initial values of a parameter in f32.
std::vector<float> Initial(const ParamSpec& spec, uint64_t seed = 1) {
  Parameter parameter(spec);
  Parameter* list[] = {&parameter};
  auto buffer = test::Value(
      FlatBuffer::Make(list, DType::kF32, 1 << 20, test::TheStream()));
  std::fill_n(parameter.master().data<float>(), spec.shape.elements(), 99.0f);
  EISBACH_EXPECT_OK(InitParameter(parameter, seed, test::TheStream()));
  return test::ToFloats(parameter.master());
}

ParamSpec Cut(const Shape& shape, const Shape& start, const Shape& extent,
              const Init& init = kNormal) {
  ParamSpec spec;
  spec.name = "w";
  spec.shape = extent;
  spec.init = init;
  spec.slices = {Slice("w", shape, start, extent, 0)};
  return spec;
}

TEST(InitParameter, EveryCutHasTheBitsOfTheWhole) {
  const Shape shape{7, 10};
  const std::vector<float> whole =
      Initial(WholeParam("w", shape, kNormal, true));
  for (int64_t r0 = 0; r0 < 7; ++r0) {
    for (int64_t c0 = 0; c0 < 10; ++c0) {
      for (int64_t r1 = r0 + 1; r1 <= 7; r1 += 2) {
        for (int64_t c1 = c0 + 1; c1 <= 10; c1 += 3) {
          const int64_t rows = r1 - r0, columns = c1 - c0;
          const std::vector<float> piece =
              Initial(Cut(shape, {r0, c0}, {rows, columns}));
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t c = 0; c < columns; ++c) {
              ASSERT_EQ(piece[r * columns + c], whole[(r0 + r) * 10 + c0 + c]);
            }
          }
        }
      }
    }
  }
}

TEST(InitParameter, UniformIsWithinItsBoundAndTheSameInEveryCut) {
  const Init uniform{.kind = Init::Kind::kUniform, .bound = 0.25f};
  const std::vector<float> whole =
      Initial(WholeParam("w", {300, 300}, uniform, true));
  double sum = 0, squares = 0;
  for (float x : whole) {
    ASSERT_TRUE(x >= -0.25f && x < 0.25f);
    sum += x;
    squares += double{x} * x;
  }
  const double n = static_cast<double>(whole.size());
  const double deviation = 0.25 / std::sqrt(3);
  EXPECT_NEAR(sum / n, 0, 5 * deviation / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), deviation, 5 * deviation / std::sqrt(n));
  const std::vector<float> piece =
      Initial(Cut({300, 300}, {7, 13}, {5, 3}, uniform));
  for (int64_t r = 0; r < 5; ++r) {
    for (int64_t c = 0; c < 3; ++c) {
      EXPECT_EQ(piece[r * 3 + c], whole[(7 + r) * 300 + 13 + c]);
    }
  }
}

TEST(InitParameter, CutsOfAVectorToo) {
  const std::vector<float> whole =
      Initial(WholeParam("w", {9}, kNormal, false));
  const std::vector<float> piece = Initial(Cut({9}, {5}, {3}));
  EXPECT_EQ(piece, std::vector<float>(whole.begin() + 5, whole.begin() + 8));
}

TEST(InitParameter, FusedSlicesAreTheirLogicalTensors) {
  const std::vector<float> query =
      Initial(WholeParam("q", {4, 6}, kNormal, true));
  const std::vector<float> key =
      Initial(WholeParam("k", {2, 6}, kNormal, true));
  ParamSpec spec;
  spec.name = "qkv";
  spec.shape = {5, 6};  // rows 2 and 3 of q, row 1 of k, two rows of padding
  spec.init = kNormal;
  spec.slices = {Slice("q", {4, 6}, {2, 0}, {2, 6}, 0),
                 Slice("k", {2, 6}, {1, 0}, {1, 6}, 2)};
  std::vector<float> expected(query.begin() + 12, query.end());
  expected.insert(expected.end(), key.begin() + 6, key.end());
  expected.resize(30, 0.0f);
  EXPECT_EQ(Initial(spec), expected);
}

TEST(InitParameter, DependsOnSeedAndName) {
  const std::vector<float> a = Initial(WholeParam("a", {64}, kNormal, false));
  EXPECT_EQ(a, Initial(WholeParam("a", {64}, kNormal, true)));
  EXPECT_NE(a, Initial(WholeParam("b", {64}, kNormal, false)));
  EXPECT_NE(a, Initial(WholeParam("a", {64}, kNormal, false), /*seed=*/2));
}

TEST(InitParameter, DoesNotDependOnThreads) {
  const ParamSpec spec = WholeParam("w", {33, 17}, kNormal, true);
  std::vector<float> one;
  {
    test::ScopedThreads threads(1);
    one = Initial(spec);
  }
  test::ScopedThreads threads(5);
  EXPECT_EQ(Initial(spec), one);
}

TEST(InitParameter, NormalHasItsMoments) {
  const std::vector<float> w =
      Initial(WholeParam("w", {300, 300}, kNormal, true));
  double sum = 0, squares = 0;
  for (float x : w) {
    sum += x;
    squares += double{x} * x;
  }
  const double n = static_cast<double>(w.size());
  EXPECT_NEAR(sum / n, 0, 5 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), 0.02, 5 * 0.02 / std::sqrt(2 * n));
}

TEST(InitParameter, ConstantsLeavePaddingZero) {
  ParamSpec spec;
  spec.name = "norm";
  spec.shape = {4};
  spec.init = {Init::Kind::kOnes, 0};
  spec.slices = {Slice("norm", {3}, {0}, {3}, 0)};
  EXPECT_EQ(Initial(spec), (std::vector<float>{1, 1, 1, 0}));
  spec.init = {Init::Kind::kZeros, 0};
  EXPECT_EQ(Initial(spec), (std::vector<float>{0, 0, 0, 0}));
}

}  // namespace
}  // namespace eisbach::init_test
