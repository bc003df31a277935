#include "data/sampler.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/status_testing.h"

namespace eisbach::data {
namespace {

using test::StatusIs;

const std::vector<std::string> kNames = {"a", "b", "c"};

Sampler Make(const std::vector<SourceSize>& sources, int64_t context,
             uint64_t seed, SampleOrder order = SampleOrder::kSeeded) {
  return test::Value(
      Sampler::Make(sources, absl::MakeSpan(kNames).subspan(0, sources.size()),
                    context, seed, order));
}

TEST(SamplerTest, AnEpochHoldsEverySampleOnce) {
  for (int64_t tokens : {9, 16, 17, 18, 1000}) {
    const Sampler sampler = Make({{tokens, 1.0}}, 8, 1);
    const int64_t per_epoch = sampler.EpochSamples(0);
    EXPECT_EQ(per_epoch, (tokens - 1) / 8);
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::set<int64_t> begins;
      for (int64_t i = 0; i < per_epoch; ++i) {
        const SamplePlace place = sampler(epoch * per_epoch + i);
        EXPECT_EQ(place.source, 0);
        EXPECT_EQ(place.epoch, epoch);
        EXPECT_EQ(place.begin % 8, 0);
        EXPECT_LE(place.begin + 8 + 1, tokens);
        begins.insert(place.begin);
      }
      EXPECT_EQ(begins.size(), static_cast<size_t>(per_epoch));
    }
  }
}

TEST(SamplerTest, SourcesGoThroughTheirOwnEpochs) {
  const Sampler sampler = Make({{81, 1.0}, {801, 1.0}}, 8, 1);
  std::map<std::pair<int, int64_t>, std::set<int64_t>> seen;
  for (int64_t g = 0; g < 220; ++g) {
    const SamplePlace place = sampler(g);
    auto& begins = seen[{place.source, place.epoch}];
    EXPECT_TRUE(begins.insert(place.begin).second);
  }
  EXPECT_EQ((seen[{0, 9}].size()), 10u);  // the small one came ten times
  EXPECT_EQ((seen[{1, 0}].size()), 100u);
}

TEST(SamplerTest, SeedAndEpochChangeTheOrder) {
  const Sampler a = Make({{8001, 1.0}}, 8, 1);
  const Sampler same = Make({{8001, 1.0}}, 8, 1);
  const Sampler other = Make({{8001, 1.0}}, 8, 2);
  int equal_seed = 0, equal_epoch = 0, in_order = 0;
  for (int64_t g = 0; g < 1000; ++g) {
    EXPECT_EQ(a(g), same(g));
    equal_seed += a(g).begin == other(g).begin;
    equal_epoch += a(g).begin == a(g + 1000).begin;
    in_order += a(g).begin == g * 8;
  }
  EXPECT_LT(equal_seed, 15);
  EXPECT_LT(equal_epoch, 15);
  EXPECT_LT(in_order, 15);
  EXPECT_NE(a.DocumentKey(0, 0), other.DocumentKey(0, 0));
  EXPECT_NE(a.DocumentKey(0, 0), a.DocumentKey(0, 1));
  EXPECT_NE(a.DocumentKey(0, 0), a.DocumentKey(1, 0));
}

TEST(SamplerTest, FixedOrderIgnoresTheSeed) {
  const Sampler a = Make({{801, 1.0}}, 8, 1, SampleOrder::kFixed);
  const Sampler b = Make({{801, 1.0}}, 8, 2, SampleOrder::kFixed);
  for (int64_t g = 0; g < 300; ++g) {
    EXPECT_EQ(a(g), b(g));
    EXPECT_EQ(a(g), a(g % 100));  // the same samples again
  }
  EXPECT_EQ(a.DocumentKey(0, 0), b.DocumentKey(0, 0));
}

TEST(SamplerTest, TooShortASourceIsNamed) {
  const std::vector<SourceSize> sources = {{100, 1.0}, {64, 1.0}};
  EXPECT_THAT(
      Sampler::Make(sources, absl::MakeSpan(kNames).subspan(0, 2), 64, 1,
                    SampleOrder::kSeeded),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "b holds 64 tokens, fewer than one sample of model.context=64 "
               "and the token after it; nearest that works: model.context=63"));
  EXPECT_THAT(Sampler::Make(sources, absl::MakeSpan(kNames).subspan(0, 2), 0, 1,
                            SampleOrder::kSeeded),
              StatusIs(absl::StatusCode::kInvalidArgument, "model.context=0"));
}

}  // namespace
}  // namespace eisbach::data
