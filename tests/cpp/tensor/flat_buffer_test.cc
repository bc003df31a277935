#include "tensor/flat_buffer.h"

#include "absl/strings/str_cat.h"
#include "support/op_testing.h"

namespace eisbach::flat_buffer_test {
namespace {

using ::testing::ElementsAre;

class FlatBufferTest : public ::testing::Test {
 protected:
  Parameter* Add(std::string name, const Shape& shape, bool decay) {
    owned_.push_back(std::make_unique<Parameter>(
        WholeParam(std::move(name), shape, {}, decay)));
    return owned_.back().get();
  }
  std::unique_ptr<FlatBuffer> Make(DType dtype, int64_t bucket_bytes,
                                   Stream& stream = test::TheStream()) {
    std::vector<Parameter*> list;
    for (auto& parameter : owned_) list.push_back(parameter.get());
    return test::Value(FlatBuffer::Make(list, dtype, bucket_bytes, stream));
  }

  std::vector<std::unique_ptr<Parameter>> owned_;
};

TEST_F(FlatBufferTest, LaysOutBackwardsAndAligned) {
  Parameter* a = Add("a", {10, 10}, true);
  Parameter* b = Add("b", {5}, true);
  Parameter* c = Add("c", {64}, true);
  auto buffer = Make(DType::kF32, 1 << 20);
  ASSERT_EQ(buffer->buckets().size(), 1);
  const FlatBucket& bucket = buffer->buckets()[0];
  EXPECT_THAT(bucket.parameters, ElementsAre(c, b, a));
  EXPECT_THAT(bucket.offsets, ElementsAre(0, 64, 128));
  EXPECT_EQ(bucket.grad.elements(), 256);
  EXPECT_EQ(bucket.data.shape(), bucket.grad.shape());
}

// By its own name, or by that of a logical tensor inside.
TEST_F(FlatBufferTest, TwoParametersOfOneNameAreRefused) {
  const auto refused = [](std::vector<Parameter*> list, absl::string_view why) {
    EXPECT_THAT(FlatBuffer::Make(list, DType::kF32, 1 << 20, test::TheStream()),
                test::StatusIs(absl::StatusCode::kInvalidArgument, why));
  };
  Parameter* up = Add("mlp.up", {3, 4}, true);
  Parameter* down = Add("mlp.down", {4, 3}, true);
  Parameter* again = Add("mlp.up", {5}, true);
  refused({up, down, again},
          "the parameters 0 (mlp.up [3, 4]) and 2 (mlp.up [5]), counted from "
          "0 in the order of forward, both have the name mlp.up");
  refused({up, down, up}, "and 2 (mlp.up [3, 4])");
  Parameter* fused = Add("mlp.gate_up", {3, 4}, true);
  fused->mutable_spec().slices[0].name = "mlp.down";
  refused({fused, down}, "both have the name mlp.down");
  struct Sink final : GradientSink {
    absl::Status OnGradient(Parameter&) override { return absl::OkStatus(); }
  } sink;
  up->set_sink(&sink);
  refused({down, up}, "mlp.up is in use by another update");
  up->set_sink(nullptr);
  EISBACH_EXPECT_OK(
      FlatBuffer::Make({up, down}, DType::kF32, 1 << 20, test::TheStream()));
}

TEST_F(FlatBufferTest, ParametersAreViewsOfTheirBucket) {
  Parameter* a = Add("a", {3, 4}, true);
  Parameter* b = Add("b", {5}, false);
  auto buffer = Make(DType::kBF16, 1 << 20);
  const FlatBucket& bucket = buffer->buckets()[0];
  EXPECT_EQ(a->data().shape(), Shape({3, 4}));
  EXPECT_EQ(a->data().dtype(), DType::kBF16);
  EXPECT_EQ(a->master().dtype(), DType::kF32);
  EXPECT_EQ(a->grad().dtype(), DType::kF32);
  EXPECT_EQ(a->grad().data<float>(), bucket.grad.data<float>());
  EXPECT_EQ(b->grad().data<float>(), bucket.grad.data<float>() + 64);
  EXPECT_EQ(b->data().data<BFloat16>(), bucket.data.data<BFloat16>() + 64);
  EXPECT_NE(a->data().raw(), a->master().raw());
  for (double x : test::ToDoubles(bucket.master)) ASSERT_EQ(x, 0);
  for (double x : test::ToDoubles(bucket.data)) ASSERT_EQ(x, 0);
}

TEST_F(FlatBufferTest, ComputingInF32KeepsOneCopy) {
  Parameter* a = Add("a", {3}, true);
  auto buffer = Make(DType::kF32, 1 << 20);
  EXPECT_EQ(a->data().raw(), a->master().raw());
}

TEST_F(FlatBufferTest, ClosesABucketBeforeItGrowsTooLarge) {
  for (int i = 0; i < 5; ++i) Add(absl::StrCat("p", i), {64}, true);
  auto buffer = Make(DType::kF32, 2 * 64 * 4);
  std::vector<size_t> sizes;
  for (const FlatBucket& bucket : buffer->buckets()) {
    sizes.push_back(bucket.parameters.size());
  }
  EXPECT_THAT(sizes, ElementsAre(2, 2, 1));
  EXPECT_EQ(buffer->buckets()[0].parameters[0], owned_[4].get());
}

TEST_F(FlatBufferTest, AParameterLargerThanABucketHasItsOwn) {
  Add("a", {8}, true);
  Add("b", {1000}, true);
  Add("c", {8}, true);
  EXPECT_EQ(Make(DType::kF32, 256)->buckets().size(), 3);
}

TEST_F(FlatBufferTest, ABucketHasASegmentThatDecaysAndOneThatDoesNot) {
  Add("a", {64, 2}, true);
  Add("b", {10}, false);
  Add("c", {20}, false);
  Add("d", {10, 3}, true);
  auto buffer = Make(DType::kF32, 1 << 20);
  const FlatBucket& bucket = buffer->buckets()[0];
  EXPECT_THAT(bucket.parameters, ElementsAre(owned_[3].get(), owned_[0].get(),
                                             owned_[2].get(), owned_[1].get()));
  ASSERT_EQ(bucket.segments.size(), 2);
  EXPECT_TRUE(bucket.segments[0].decay);  // d and a, across the gap
  EXPECT_EQ(bucket.segments[0].offset, 0);
  EXPECT_EQ(bucket.segments[0].elements, 64 + 128);
  EXPECT_FALSE(bucket.segments[1].decay);
  EXPECT_EQ(bucket.segments[1].offset, 192);
  EXPECT_EQ(bucket.segments[1].elements, 64 + 10);
}

TEST_F(FlatBufferTest, NoParametersNoBuckets) {
  EXPECT_TRUE(Make(DType::kF32, 1 << 20)->buckets().empty());
}

TEST_F(FlatBufferTest, WorksOnMeta) {
  Parameter* a = Add("a", {1 << 20, 1 << 20}, true);
  auto buffer = Make(DType::kBF16, 1 << 20, test::MetaStream());
  EXPECT_EQ(a->grad().raw(), nullptr);
  EXPECT_EQ(a->grad().elements(), int64_t{1} << 40);
}

}  // namespace
}  // namespace eisbach::flat_buffer_test
