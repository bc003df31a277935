#include "data/sampler.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "support/status_testing.h"

namespace eisbach::data::sampler_test {
namespace {

Sampler Make(const std::vector<SourceSize>& sources, uint64_t seed,
             SampleOrder order = SampleOrder::kSeeded) {
  return test::Value(Sampler::Make(sources, seed, order));
}

TEST(SamplerTest, AnEpochHoldsEverySampleOnce) {
  for (int64_t per_epoch : {1, 2, 3, 124}) {
    const Sampler sampler = Make({{per_epoch, 1.0}}, 1);
    EXPECT_EQ(sampler.EpochSamples(0), per_epoch);
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::set<int64_t> found;
      for (int64_t i = 0; i < per_epoch; ++i) {
        const SamplePlace place = sampler(epoch * per_epoch + i);
        EXPECT_EQ(place.source, 0);
        EXPECT_EQ(place.epoch, epoch);
        EXPECT_GE(place.index, 0);
        EXPECT_LT(place.index, per_epoch);
        found.insert(place.index);
      }
      EXPECT_EQ(found.size(), static_cast<size_t>(per_epoch));
    }
  }
}

TEST(SamplerTest, SourcesGoThroughTheirOwnEpochs) {
  const Sampler sampler = Make({{10, 1.0}, {100, 1.0}}, 1);
  std::map<std::pair<int, int64_t>, std::set<int64_t>> seen;
  for (int64_t g = 0; g < 220; ++g) {
    const SamplePlace place = sampler(g);
    auto& indices = seen[{place.source, place.epoch}];
    EXPECT_TRUE(indices.insert(place.index).second);
  }
  EXPECT_EQ((seen[{0, 9}].size()), 10u);  // the small one came ten times
  EXPECT_EQ((seen[{1, 0}].size()), 100u);
}

TEST(SamplerTest, SeedAndEpochChangeTheOrder) {
  const Sampler a = Make({{1000, 1.0}}, 1);
  const Sampler same = Make({{1000, 1.0}}, 1);
  const Sampler other = Make({{1000, 1.0}}, 2);
  int equal_seed = 0, equal_epoch = 0, in_order = 0;
  for (int64_t g = 0; g < 1000; ++g) {
    EXPECT_EQ(a(g), same(g));
    equal_seed += a(g).index == other(g).index;
    equal_epoch += a(g).index == a(g + 1000).index;
    in_order += a(g).index == g;
  }
  EXPECT_LT(equal_seed, 15);
  EXPECT_LT(equal_epoch, 15);
  EXPECT_LT(in_order, 15);
  EXPECT_NE(a.DocumentKey(0, 0), other.DocumentKey(0, 0));
  EXPECT_NE(a.DocumentKey(0, 0), a.DocumentKey(0, 1));
  EXPECT_NE(a.DocumentKey(0, 0), a.DocumentKey(1, 0));
}

TEST(SamplerTest, FixedOrderIgnoresTheSeed) {
  const Sampler a = Make({{100, 1.0}}, 1, SampleOrder::kFixed);
  const Sampler b = Make({{100, 1.0}}, 2, SampleOrder::kFixed);
  for (int64_t g = 0; g < 300; ++g) {
    EXPECT_EQ(a(g), b(g));
    EXPECT_EQ(a(g), a(g % 100));  // the same samples again
  }
  EXPECT_EQ(a.DocumentKey(0, 0), b.DocumentKey(0, 0));
}

}  // namespace
}  // namespace eisbach::data::sampler_test
