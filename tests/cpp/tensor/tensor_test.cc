#include "tensor/tensor.h"

#include <numeric>

#include "support/op_testing.h"

namespace eisbach::tensor_test {
namespace {

using test::ToDoubles;
using ::testing::ElementsAre;
constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

Tensor Counting(const Shape& shape) {
  std::vector<double> values(shape.elements());
  std::iota(values.begin(), values.end(), 0.0);
  return test::FromValues(shape, DType::kF32, values);
}

TEST(Tensor, ADefaultOneIsUndefined) {
  Tensor t;
  EXPECT_FALSE(t.defined());
  EXPECT_EQ(t.ToString(), "undefined tensor");
}

TEST(Tensor, EmptyIsContiguous) {
  Tensor t = test::Empty({2, 3}, DType::kBF16);
  EXPECT_TRUE(t.contiguous());
  EXPECT_EQ(t.bytes(), 12);
  EXPECT_EQ(t.ToString(), "bf16[2, 3] on cpu");
  EXPECT_THAT(Tensor::Empty({2, -1}, DType::kF32, test::TheDevice()),
              test::StatusIs(kInvalid, "[2, -1]"));
}

TEST(Tensor, ZerosClearsReusedMemory) {
  {
    Tensor dirty = test::Empty({1000}, DType::kF32);
    std::fill_n(dirty.data<float>(), 1000, 7.0f);
  }
  Tensor t = test::Value(Tensor::Zeros({1000}, DType::kF32, test::TheStream()));
  for (double x : ToDoubles(t)) ASSERT_EQ(x, 0);
}

TEST(Tensor, WithoutElementsHoldsNoMemory) {
  Tensor t = test::Empty({3, 0}, DType::kF32);
  EXPECT_TRUE(t.defined());
  EXPECT_TRUE(t.contiguous());
  EXPECT_EQ(t.raw(), nullptr);
}

TEST(Tensor, CopiesShareStorageUntilTheLastLetsGo) {
  const int64_t before = test::TheDevice().memory().bytes_in_use;
  {
    Tensor a = Counting({4});
    Tensor b = a;
    b.data<float>()[0] = 9;
    EXPECT_EQ(a.data<float>()[0], 9);
    a = Tensor();
    EXPECT_EQ(test::TheDevice().memory().bytes_in_use, before + 256);
  }
  EXPECT_EQ(test::TheDevice().memory().bytes_in_use, before);
}

TEST(Tensor, ViewKeepsTheElements) {
  Tensor a = Counting({2, 6});
  Tensor b = test::Value(a.View({3, 2, 2}));
  EXPECT_EQ(b.raw(), a.raw());
  EXPECT_EQ(ToDoubles(b), ToDoubles(a));
  EXPECT_THAT(a.View({5}), test::StatusIs(kInvalid, "[2, 6] has 12 elements"));
}

TEST(Tensor, NarrowIsAWindow) {
  Tensor a = Counting({3, 4});
  EXPECT_THAT(ToDoubles(test::Value(a.Narrow(1, 1, 2))),
              ElementsAre(1, 2, 5, 6, 9, 10));
  Tensor rows = test::Value(a.Narrow(0, 1, 2));
  EXPECT_TRUE(rows.contiguous());
  EXPECT_THAT(ToDoubles(test::Value(rows.Narrow(-1, 3, 1))),
              ElementsAre(7, 11));
  EXPECT_EQ(test::Value(a.Narrow(1, 4, 0)).elements(), 0);
}

TEST(Tensor, NarrowRejectsWhatIsOutside) {
  Tensor a = Counting({3, 4});
  EXPECT_THAT(a.Narrow(1, 3, 2),
              test::StatusIs(kInvalid, "2 from 3 on is outside dim 1"));
  EXPECT_THAT(a.Narrow(1, -1, 2), test::StatusIs(kInvalid, "outside dim 1"));
  EXPECT_THAT(a.Narrow(0, 0, -1), test::StatusIs(kInvalid, "outside dim 0"));
  EXPECT_THAT(a.Narrow(2, 0, 1), test::StatusIs(kInvalid, "dim 2"));
  EXPECT_THAT(a.Narrow(-3, 0, 1), test::StatusIs(kInvalid, "dim -3"));
}

TEST(Tensor, TransposeSwapsStrides) {
  Tensor a = Counting({2, 3});
  Tensor b = test::Value(a.Transpose(0, -1));
  EXPECT_EQ(b.shape(), Shape({3, 2}));
  EXPECT_FALSE(b.contiguous());
  EXPECT_THAT(ToDoubles(b), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(b.View({6}), test::StatusIs(kInvalid, "not contiguous"));
  EXPECT_THAT(a.Transpose(0, 2), test::StatusIs(kInvalid, "dim 2"));
}

TEST(Tensor, ASizeOfOneMayHaveAnyStride) {
  Tensor a = Counting({4, 4});
  Tensor row = test::Value(a.Narrow(0, 2, 1));
  EXPECT_TRUE(test::Value(row.Transpose(0, 1)).contiguous());
  EXPECT_FALSE(test::Value(a.Narrow(1, 2, 1)).contiguous());
}

TEST(Tensor, FromStorageStaysInside) {
  auto storage = test::Value(test::TheDevice().Allocate(100));
  Tensor t = test::Value(Tensor::FromStorage(storage, 20, {20}, DType::kF32));
  EXPECT_EQ(static_cast<char*>(t.raw()) - static_cast<char*>(storage->data()),
            20);
  EXPECT_THAT(Tensor::FromStorage(storage, 24, {20}, DType::kF32),
              test::StatusIs(absl::StatusCode::kOutOfRange, "ends at 104"));
  EXPECT_THAT(Tensor::FromStorage(storage, 0, {2, 5}, {20, 2}, DType::kF32),
              test::StatusIs(absl::StatusCode::kOutOfRange, "ends at 116"));
  // Broadcast rows: stride 0.
  Tensor rows = test::Value(
      Tensor::FromStorage(storage, 0, {1000, 25}, {0, 1}, DType::kF32));
  EXPECT_EQ(rows.elements(), 25000);
}

TEST(Tensor, DataChecksTheType) {
  Tensor a = Counting({4});
  EXPECT_DEATH(a.data<int32_t>(), "check failed");
}

TEST(Tensor, ViewsCarryNoGradientEdge) {
  GradNode node;
  Tensor a = Counting({2, 2});
  a.set_grad_edge({&node, 1});
  EXPECT_EQ(Tensor(a).grad_edge().output, 1);
  EXPECT_EQ(a.Detach().grad_edge().node, nullptr);
  EXPECT_EQ(test::Value(a.View({4})).grad_edge().node, nullptr);
  EXPECT_EQ(test::Value(a.Narrow(0, 0, 1)).grad_edge().node, nullptr);
  EXPECT_EQ(test::Value(a.Transpose(0, 1)).grad_edge().node, nullptr);
}

TEST(Tensor, MetaTensorsHaveShapesOnly) {
  Tensor a = test::Empty({1 << 20, 1 << 20}, DType::kF32, test::Meta());
  EXPECT_EQ(a.raw(), nullptr);
  EXPECT_EQ(test::Value(a.Narrow(0, 5, 10)).raw(), nullptr);
  EXPECT_EQ(a.ToString(), "f32[1048576, 1048576] on meta");
}

}  // namespace
}  // namespace eisbach::tensor_test
