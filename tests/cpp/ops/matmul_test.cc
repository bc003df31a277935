#include "ops/matmul.h"

#include <omp.h>

#include <thread>

#include "support/op_alignment.h"
#include "support/op_testing.h"

namespace eisbach::ops::matmul_test {
namespace {

using test::Value;

// Products in double; the error of f32 accumulation grows with k.
std::vector<double> Reference(const Tensor& a, const Tensor& b,
                              const Tensor* bias) {
  const int64_t m = a.dim(0), k = a.dim(1), n = b.dim(1);
  const std::vector<double> x = test::ToDoubles(a), y = test::ToDoubles(b);
  std::vector<double> c(m * n, 0.0);
  if (bias != nullptr) {
    const std::vector<double> values = test::ToDoubles(*bias);
    for (int64_t i = 0; i < m * n; ++i) c[i] = values[i % n];
  }
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < n; ++j) {
        c[i * n + j] += x[i * k + p] * y[p * n + j];
      }
    }
  }
  return c;
}

// A [rows, columns] view with a padded leading dimension, transposed or not.
Tensor MakeMatrix(int64_t rows, int64_t columns, DType dtype, bool transposed,
                  int64_t padding, uint64_t seed) {
  const int64_t outer = transposed ? columns : rows;
  const int64_t inner = transposed ? rows : columns;
  Tensor whole = test::Normal({outer, inner + padding}, dtype, seed);
  Tensor view = Value(whole.Narrow(1, padding / 2, inner));
  return transposed ? Value(view.Transpose(0, 1)) : view;
}

struct Size {
  int64_t m, n, k;
};
constexpr Size kSizes[] = {{1, 1, 1},     {1, 7, 3},    {5, 1, 9},
                           {3, 4, 1},     {17, 33, 5},  {64, 48, 80},
                           {9, 130, 257}, {1100, 3, 20}};
constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

double ErrorScale(int64_t k) { return 2.0 * std::sqrt(static_cast<double>(k)); }

TEST(MatmulTest, EveryLayoutAndDTypeMatchesTheReference) {
  for (const Size& s : kSizes) {
    for (DType dtype : kDTypes) {
      for (int layout = 0; layout < 8; ++layout) {
        SCOPED_TRACE(testing::Message()
                     << s.m << "x" << s.n << "x" << s.k << " " << Name(dtype)
                     << " layout " << layout);
        const int64_t padding = layout & 4 ? 6 : 0;
        const Tensor a = MakeMatrix(s.m, s.k, dtype, layout & 1, padding, 1);
        const Tensor b = MakeMatrix(s.k, s.n, dtype, layout & 2, padding, 2);
        const Tensor c = MakeMatrix(s.m, s.n, dtype, false, padding, 3);
        EISBACH_ASSERT_OK(Matmul(a, b, nullptr, false, c, test::TheStream()));
        test::ExpectClose(c, Reference(a, b, nullptr), 0, ErrorScale(s.k));
      }
    }
  }
}

TEST(MatmulTest, AddsABiasOfEitherDType) {
  for (const Size& s : kSizes) {
    for (DType dtype : kDTypes) {
      for (DType bias_dtype : {dtype, DType::kF32}) {
        for (DType c_dtype : {dtype, DType::kF32}) {
          const Tensor a = test::Normal({s.m, s.k}, dtype, 1);
          const Tensor b = test::Normal({s.k, s.n}, dtype, 2);
          const Tensor bias = test::Normal({s.n}, bias_dtype, 3, 10.0);
          const Tensor c = test::Empty({s.m, s.n}, c_dtype);
          EISBACH_ASSERT_OK(Matmul(a, b, &bias, false, c, test::TheStream()));
          test::ExpectClose(c, Reference(a, b, &bias), 0, ErrorScale(s.k));
        }
      }
    }
  }
}

TEST(MatmulTest, AccumulatesIntoF32AndLeavesThePaddingAlone) {
  for (const Size& s : kSizes) {
    for (DType dtype : kDTypes) {
      const Tensor a = MakeMatrix(s.m, s.k, dtype, true, 0, 1);
      const Tensor b = MakeMatrix(s.k, s.n, dtype, false, 0, 2);
      const Tensor whole = test::Normal({s.m, s.n + 3}, DType::kF32, 4);
      const Tensor c = Value(whole.Narrow(1, 0, s.n));
      const Tensor padding = Value(whole.Narrow(1, s.n, 3));
      const std::vector<uint8_t> padding_before = test::ToBytes(padding);
      std::vector<double> expected = Reference(a, b, nullptr);
      const std::vector<double> before = test::ToDoubles(c);
      for (size_t i = 0; i < expected.size(); ++i) expected[i] += before[i];
      EISBACH_ASSERT_OK(Matmul(a, b, nullptr, true, c, test::TheStream()));
      test::ExpectClose(c, expected, 0, ErrorScale(s.k));
      EXPECT_EQ(test::ToBytes(padding), padding_before);
    }
  }
}

// What a step of sampling needs: a text's bits are its own.
TEST(MatmulTest, ARowOfFewDependsOnItselfAlone) {
  if (test::TheDevice().type() != DeviceType::kCpu) return;
  for (DType dtype : kDTypes) {
    for (int64_t k : {1, 15, 16, 300}) {
      const Tensor x = test::Normal({8, k}, dtype, 1);
      const Tensor w = test::Normal({150, k}, dtype, 2);
      const Tensor bias = test::Normal({150}, dtype, 3);
      std::vector<std::vector<uint8_t>> alone;
      for (int64_t row = 0; row < 8; ++row) {
        alone.push_back(test::ToBytes(Value(LinearForward(
            Value(x.Narrow(0, row, 1)), w, &bias, test::TheStream()))));
      }
      for (int64_t rows : {2, 3, 7, 8}) {
        const test::ScopedThreads threads(rows % 2 == 0 ? 1 : 3);
        const Tensor some = Value(x.Narrow(0, 0, rows));
        const Tensor y =
            Value(LinearForward(some, w, &bias, test::TheStream()));
        for (int64_t row = 0; row < rows; ++row) {
          EXPECT_EQ(test::ToBytes(Value(y.Narrow(0, row, 1))), alone[row])
              << Name(dtype) << " k=" << k << " row " << row << " of " << rows;
        }
      }
    }
  }
}

TEST(MatmulTest, EmptyDimensions) {
  for (DType dtype : kDTypes) {
    for (const Size& s : {Size{0, 3, 2}, Size{3, 0, 2}, Size{0, 0, 0}}) {
      const Tensor c = test::Empty({s.m, s.n}, dtype);
      EISBACH_EXPECT_OK(Matmul(test::Empty({s.m, s.k}, dtype),
                               test::Empty({s.k, s.n}, dtype), nullptr, false,
                               c, test::TheStream()));
    }
    const Tensor a = test::Empty({3, 0}, dtype);
    const Tensor b = test::Empty({0, 5}, dtype);
    const Tensor bias = test::Normal({5}, dtype, 1);
    Tensor c = test::Normal({3, 5}, dtype, 2);
    EISBACH_ASSERT_OK(Matmul(a, b, nullptr, false, c, test::TheStream()));
    test::ExpectClose(c, std::vector<double>(15, 0.0));
    EISBACH_ASSERT_OK(Matmul(a, b, &bias, false, c, test::TheStream()));
    test::ExpectClose(c, Reference(a, b, &bias));
    c = test::Normal({3, 5}, DType::kF32, 2);
    const std::vector<double> before = test::ToDoubles(c);
    EISBACH_ASSERT_OK(Matmul(a, b, nullptr, true, c, test::TheStream()));
    EXPECT_EQ(test::ToDoubles(c), before);
  }
}

TEST(MatmulTest, NotANumberReachesItsRowAlone) {
  for (DType dtype : kDTypes) {
    std::vector<double> values = test::NormalValues(6 * 40, 1);
    values[2 * 40 + 7] = NAN;
    const Tensor a = test::FromValues({6, 40}, dtype, values);
    const Tensor b = test::Normal({40, 24}, dtype, 2);
    const Tensor c = test::Empty({6, 24}, dtype);
    EISBACH_ASSERT_OK(Matmul(a, b, nullptr, false, c, test::TheStream()));
    const std::vector<double> result = test::ToDoubles(c);
    for (int64_t i = 0; i < 6 * 24; ++i) {
      EXPECT_EQ(std::isnan(result[i]), i / 24 == 2) << i;
    }
  }
}

TEST(MatmulTest, SameCallGivesTheSameBitsFromAnyThread) {
  for (DType dtype : kDTypes) {
    const Tensor a = test::Normal({300, 500}, dtype, 1);
    const Tensor b = test::Normal({500, 200}, dtype, 2);
    std::vector<std::vector<uint8_t>> results(4);
    std::vector<std::thread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] {
        SetComputeThreads(1);
        const Tensor c = test::Empty({300, 200}, dtype);
        EISBACH_EXPECT_OK(Matmul(a, b, nullptr, false, c, test::TheStream()));
        result = test::ToBytes(c);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& result : results) EXPECT_EQ(result, results[0]);
  }
}

TEST(MatmulTest, ThreadCountsAgreeToRounding) {
  const Tensor a = test::Normal({150, 700}, DType::kF32, 1);
  const Tensor b = test::Normal({700, 90}, DType::kF32, 2);
  const std::vector<double> expected = Reference(a, b, nullptr);
  const int cores = static_cast<int>(UsableCores().count());
  for (int count : {1, 2, 3, cores + 2}) {
    const test::ScopedThreads threads(count);
    const Tensor c = test::Empty({150, 90}, DType::kF32);
    EISBACH_ASSERT_OK(Matmul(a, b, nullptr, false, c, test::TheStream()));
    test::ExpectClose(c, expected, 0, ErrorScale(700));
  }
}

// As in a program's own thread, or beside another library that sets them.
TEST(MatmulTest, ThreadsThatOpenMpDoesNotGiveAreNotMissed) {
  const Tensor a = test::Normal({150, 700}, DType::kF32, 1);
  const Tensor b = test::Normal({700, 90}, DType::kF32, 2);
  const std::vector<double> expected = Reference(a, b, nullptr);
  std::thread([&] {
    omp_set_num_threads(static_cast<int>(UsableCores().count()) + 2);
    omp_set_dynamic(1);
    const Tensor c = test::Empty({150, 90}, DType::kF32);
    EISBACH_ASSERT_OK(Matmul(a, b, nullptr, false, c, test::TheStream()));
    test::ExpectClose(c, expected, 0, ErrorScale(700));
  }).join();
}

TEST(MatmulTest, WorkBuffersAreReusedAfterTheFirstCall) {
  for (DType dtype : kDTypes) {
    const Tensor a = test::Normal({256, 256}, dtype, 1);
    const Tensor b = test::Normal({256, 256}, dtype, 2);
    const Tensor c = test::Empty({256, 256}, dtype);
    EISBACH_ASSERT_OK(Matmul(a, b, nullptr, false, c, test::TheStream()));
    const AllocatorStats before = test::TheDevice().memory();
    EISBACH_ASSERT_OK(Matmul(a, b, nullptr, false, c, test::TheStream()));
    const AllocatorStats after = test::TheDevice().memory();
    EXPECT_EQ(after.system_allocations, before.system_allocations);
    EXPECT_EQ(after.bytes_in_use, before.bytes_in_use);
  }
}

TEST(MatmulTest, LinearProductsAreThoseOfTheFormula) {
  for (DType dtype : kDTypes) {
    const Tensor x = test::Normal({2, 3, 5}, dtype, 1);
    const Tensor w = test::Normal({4, 5}, dtype, 2);
    const Tensor bias = test::Normal({4}, dtype, 3);
    const Tensor dy = test::Normal({2, 3, 4}, dtype, 4);
    const Tensor x_rows = Value(x.View({6, 5}));
    const Tensor dy_rows = Value(dy.View({6, 4}));
    Stream& stream = test::TheStream();

    const Tensor y = Value(LinearForward(x, w, &bias, stream));
    EXPECT_EQ(y.shape(), Shape({2, 3, 4}));
    EXPECT_EQ(y.dtype(), dtype);
    test::ExpectClose(y, Reference(x_rows, Value(w.Transpose(0, 1)), &bias), 0,
                      5);
    const Tensor dx = Value(LinearBackwardInput(dy, w, stream));
    EXPECT_EQ(dx.shape(), x.shape());
    test::ExpectClose(dx, Reference(dy_rows, w, nullptr), 0, 5);

    const Tensor dw = test::Empty({4, 5}, DType::kF32);
    std::vector<double> expected =
        Reference(Value(dy_rows.Transpose(0, 1)), x_rows, nullptr);
    EISBACH_ASSERT_OK(LinearBackwardWeight(dy, x, {dw, false}, stream));
    test::ExpectClose(dw, expected, 0, 5);
    EISBACH_ASSERT_OK(LinearBackwardWeight(dy, x, {dw, true}, stream));
    for (double& value : expected) value *= 2;
    test::ExpectClose(dw, expected, 0, 5);
  }
}

// Weight and bias gradient are overwritten or added to, each by its own flag.
TEST(MatmulTest, BothGradientsOfALayerFollowTheirFlags) {
  Stream& stream = test::TheStream();
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const Tensor x = test::Normal({6, 5}, dtype, 1);
    const Tensor dy = test::Normal({6, 4}, dtype, 2);
    const std::vector<double> product =
        Reference(Value(dy.Transpose(0, 1)), x, nullptr);
    std::vector<double> sums(4, 0.0);
    const std::vector<double> rows = test::ToDoubles(dy);
    for (size_t i = 0; i < rows.size(); ++i) sums[i % 4] += rows[i];
    for (bool accumulate : {false, true}) {
      for (bool accumulate_bias : {false, true}) {
        const Tensor dw =
            test::FromValues({4, 5}, DType::kF32, std::vector<double>(20, 0.5));
        const Tensor dbias =
            test::FromValues({4}, DType::kF32, std::vector<double>(4, 0.25));
        EISBACH_ASSERT_OK(LinearBackwardWeight(
            dy, x, {dw, accumulate, &dbias, accumulate_bias}, stream));
        std::vector<double> want = product, want_bias = sums;
        for (double& value : want) value += accumulate ? 0.5 : 0;
        for (double& value : want_bias) value += accumulate_bias ? 0.25 : 0;
        test::ExpectClose(dw, want, 0, 5);
        test::ExpectClose(dbias, want_bias, 1e-5);
      }
    }
  }
}

TEST(MatmulTest, TakesOperandsAtAnyOffset) {
  for (DType dtype : kDTypes) {
    for (DType c : {dtype, DType::kF32}) {
      test::ExpectAnyAlignment(
          {test::Normal({16, 64}, dtype, 1), test::Normal({64, 32}, dtype, 2),
           test::Normal({32}, dtype, 3), test::Normal({16, 32}, c, 4)},
          [](const std::vector<Tensor>& t) {
            return Matmul(t[0], t[1], &t[2], false, t[3], test::TheStream());
          },
          ErrorScale(64));
    }
  }
}

TEST(MatmulTest, MetaGivesShapesAndCostWithoutMemory) {
  test::CostRecorder recorder(test::Meta());
  const Tensor x = test::Empty({2, 3, 5}, DType::kBF16, test::Meta());
  const Tensor w = test::Empty({4, 5}, DType::kBF16, test::Meta());
  const Tensor y = Value(LinearForward(x, w, nullptr, test::MetaStream()));
  EXPECT_EQ(y.shape(), Shape({2, 3, 4}));
  EXPECT_EQ(y.raw(), nullptr);
  ASSERT_EQ(recorder.ops.size(), 1);
  EXPECT_EQ(recorder.ops[0].first, "matmul");
  EXPECT_EQ(recorder.ops[0].second.flops, 2 * 6 * 4 * 5);
  EXPECT_EQ(recorder.ops[0].second.bytes_read, 2 * (6 * 5 + 4 * 5));
  EXPECT_EQ(recorder.ops[0].second.bytes_written, 2 * 6 * 4);
}

TEST(MatmulTest, ErrorsSayWhatIsWrong) {
  Stream& stream = test::TheStream();
  const auto f32 = [](const Shape& shape) {
    return test::Empty(shape, DType::kF32);
  };
  const auto call = [&](const Tensor& a, const Tensor& b, const Tensor& c,
                        const Tensor* bias = nullptr, bool accumulate = false) {
    return Matmul(a, b, bias, accumulate, c, stream);
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(call(f32({2, 3}), f32({4, 5}), f32({2, 5})),
              test::StatusIs(kInvalid,
                             "has 3 columns, b=f32[4, 5] on cpu has "
                             "4 rows"));
  EXPECT_THAT(call(f32({2, 3}), f32({3, 5}), f32({2, 4})),
              test::StatusIs(kInvalid, "must have the shape [2, 5]"));
  EXPECT_THAT(call(f32({2, 3, 1}), f32({3, 5}), f32({2, 5})),
              test::StatusIs(kInvalid, "must have 2 dimensions"));
  EXPECT_THAT(call(f32({2, 3}), test::Empty({3, 5}, DType::kBF16), f32({2, 5})),
              test::StatusIs(kInvalid, "must have the dtype of a"));
  EXPECT_THAT(call(test::Empty({2, 3}, DType::kI32), f32({3, 5}), f32({2, 5})),
              test::StatusIs(kInvalid, "dtype i32 is not supported"));
  EXPECT_THAT(call(f32({2, 3}), f32({3, 5}), test::Empty({2, 5}, DType::kBF16)),
              test::StatusIs(kInvalid, "must be f32"));
  const Tensor bias = f32({5}), short_bias = f32({4});
  EXPECT_THAT(call(f32({2, 3}), f32({3, 5}), f32({2, 5}), &short_bias),
              test::StatusIs(kInvalid, "must have the shape [5]"));
  EXPECT_THAT(call(f32({2, 3}), f32({3, 5}), f32({2, 5}), &bias, true),
              test::StatusIs(kInvalid, "exclude one another"));
  const Tensor c_t = Value(f32({5, 2}).Transpose(0, 1));
  EXPECT_THAT(call(f32({2, 3}), f32({3, 5}), c_t),
              test::StatusIs(kInvalid, "must have rows of stride 1"));
  const Tensor strided = Value(
      Value(f32({2, 3, 2}).Narrow(2, 0, 1)).Transpose(0, 2));  // [1, 3, 2]
  const Tensor wide = Value(
      Tensor::FromStorage(strided.storage(), 0, {2, 3}, {6, 2}, DType::kF32));
  EXPECT_THAT(call(wide, f32({3, 5}), f32({2, 5})),
              test::StatusIs(kInvalid, "has strides [6, 2]"));
  EXPECT_THAT(call(Tensor(), f32({3, 5}), f32({2, 5})),
              test::StatusIs(kInvalid, "a is undefined"));
  EXPECT_THAT(call(test::Empty({2, 3}, DType::kF32, test::Meta()), f32({3, 5}),
                   f32({2, 5})),
              test::StatusIs(kInvalid, "the stream is on cpu"));
}

TEST(MatmulTest, AGpuRoundsF32WhereItMay) {
  const double fine = 1 + std::ldexp(1.0, -12);
  const Tensor a = test::FromValues({1, 1}, DType::kF32, {fine});
  const Tensor b = test::FromValues({1, 1}, DType::kF32, {1});
  const Tensor c = test::Empty({1, 1}, DType::kF32);
  Device& device = a.device();
  for (bool allows : {true, false}) {
    device.set_allows_tf32(allows);
    EISBACH_EXPECT_OK(Matmul(a, b, nullptr, false, c, device.compute_stream()));
    const bool rounds = allows && device.type() == DeviceType::kCuda;
    EXPECT_EQ(test::ToDoubles(c)[0], rounds ? 1.0 : fine);
  }
}

}  // namespace
}  // namespace eisbach::ops::matmul_test
