#include "models/decoder.h"

#include <gtest/gtest.h>

#include <mutex>

#include "support/op_testing.h"
#include "support/toy.h"

namespace eisbach::models::decoder_test {
namespace {

using test::Layout;
using test::Value;

// The toy with room for texts, on one or several ranks.
train::EngineConfig LongToy(const std::string& family, DType dtype) {
  train::EngineConfig config = test::ToyConfig(family);
  config.model.context = 150;
  config.update.compute_dtype = dtype;
  return config;
}

absl::StatusOr<std::unique_ptr<Decoder>> DecoderOf(train::Engine& engine) {
  return Decoder::Make(engine.model(), engine.shape(),
                       engine.config().update.compute_dtype, engine.context());
}

std::vector<int32_t> Text(int64_t length, uint64_t seed) {
  std::vector<int32_t> text;
  for (int64_t i = 0; i < length; ++i) {
    text.push_back(static_cast<int32_t>(
        Philox({static_cast<uint32_t>(i)}, MakePhiloxKey(seed))[0] % 101));
  }
  return text;
}

// The logits of the whole text in one pass, without a cache: [T, vocab].
absl::StatusOr<std::vector<float>> WholeLogits(
    train::Engine& engine, const std::vector<int32_t>& text) {
  Device& device = engine.context().device();
  EISBACH_ASSIGN_OR_RETURN(
      Tensor tokens, Tensor::Empty(Shape{1, static_cast<int64_t>(text.size())},
                                   DType::kI32, device));
  EISBACH_RETURN_IF_ERROR(device.CopyToDevice(
      tokens.raw(), text.data(), tokens.bytes(), device.compute_stream()));
  EISBACH_ASSIGN_OR_RETURN(const Tensor logits, engine.Logits(tokens));
  return test::ToFloats(logits);
}

void ExpectRow(absl::Span<const float> row, const std::vector<float>& whole,
               int64_t position, double tolerance) {
  const auto vocab = static_cast<int64_t>(row.size());
  for (int64_t i = 0; i < vocab; ++i) {
    ASSERT_NEAR(row[i], whole[position * vocab + i], tolerance)
        << "position " << position << " token " << i;
  }
}

absl::Status OnRanks(const Layout& layout, const train::EngineConfig& config,
                     const test::EngineBody& body) {
  return comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, /*threads=*/1, [&](comm::World& world) {
        return test::WithEngine(world, layout, config, body);
      });
}

// Three texts, one in pieces, one token by token, one in the middle of others,
// give the logits of a whole pass.
absl::Status CheckPieces(train::Engine& engine, double tolerance) {
  const std::vector<int32_t> a = Text(140, 1), b = Text(70, 2), c = Text(9, 3);
  EISBACH_ASSIGN_OR_RETURN(const auto whole_a, WholeLogits(engine, a));
  EISBACH_ASSIGN_OR_RETURN(const auto whole_b, WholeLogits(engine, b));
  EISBACH_ASSIGN_OR_RETURN(const auto whole_c, WholeLogits(engine, c));
  EISBACH_ASSIGN_OR_RETURN(const auto decoder, DecoderOf(engine));
  const auto vocab = static_cast<size_t>(decoder->vocab());
  const auto part = [](const std::vector<int32_t>& text, int64_t begin,
                       int64_t count) {
    return absl::MakeConstSpan(text).subspan(begin, count);
  };
  EISBACH_ASSIGN_OR_RETURN(
      auto rows, decoder->Feed({{0, part(a, 0, 65)}, {2, part(c, 0, 3)}}));
  ExpectRow(absl::MakeSpan(rows).first(vocab), whole_a, 64, tolerance);
  ExpectRow(absl::MakeSpan(rows).last(vocab), whole_c, 2, tolerance);
  for (int64_t t = 0; t < 6; ++t) {
    EISBACH_ASSIGN_OR_RETURN(rows, decoder->Feed({{2, part(c, 3 + t, 1)},
                                                  {0, part(a, 65 + t, 1)},
                                                  {1, part(b, 10 * t, 10)}}));
    const auto all = absl::MakeSpan(rows);
    ExpectRow(all.first(vocab), whole_c, 3 + t, tolerance);
    ExpectRow(all.subspan(vocab, vocab), whole_a, 65 + t, tolerance);
    ExpectRow(all.last(vocab), whole_b, 10 * t + 9, tolerance);
  }
  EISBACH_ASSIGN_OR_RETURN(rows, decoder->Feed({{0, part(a, 71, 69)}}));
  ExpectRow(rows, whole_a, 139, tolerance);
  // Another text with the same beginning.
  std::vector<int32_t> other(a.begin(), a.begin() + 100);
  other.insert(other.end(), b.begin(), b.begin() + 20);
  EISBACH_ASSIGN_OR_RETURN(const auto whole_other, WholeLogits(engine, other));
  const int64_t kept = decoder->Keep(0, other);
  EXPECT_GE(kept, 100);
  EISBACH_ASSIGN_OR_RETURN(rows,
                           decoder->Feed({{0, part(other, kept, 120 - kept)}}));
  ExpectRow(rows, whole_other, 119, tolerance);
  return absl::OkStatus();
}

TEST(DecoderTest, PiecesGiveTheLogitsOfAWholePass) {
  for (const std::string& family : FamilyNames()) {
    SCOPED_TRACE(family);
    EISBACH_EXPECT_OK(OnRanks(
        {}, LongToy(family, DType::kF32),
        [](train::Engine& engine) { return CheckPieces(engine, 2e-6); }));
  }
}

// A window in one layer of two, scores and logits that are bounded.
train::EngineConfig LimitedToy() {
  train::EngineConfig config = LongToy("llama", DType::kF32);
  config.model.architecture.window = 20;
  config.model.architecture.window_full_every = 2;
  config.model.architecture.attention_scale = 0.7;
  config.model.architecture.attention_cap = 0.5;
  config.model.architecture.final_cap = 0.2;
  return config;
}

TEST(DecoderTest, AlsoWithWindowsAndCaps) {
  for (const Layout& layout : {Layout{}, Layout{1, 2, 1}}) {
    EISBACH_EXPECT_OK(OnRanks(layout, LimitedToy(), [](train::Engine& engine) {
      return CheckPieces(engine, 2e-6);
    }));
  }
}

TEST(DecoderTest, AlsoIn16Bits) {
  for (DType dtype : {DType::kBF16, DType::kF16}) {
    SCOPED_TRACE(Name(dtype));
    EISBACH_EXPECT_OK(OnRanks(
        {}, LongToy("llama", dtype),
        [](train::Engine& engine) { return CheckPieces(engine, 1e-2); }));
  }
}

// What each layout draws, greedily and not, from prompts of different lengths.
std::vector<std::vector<int32_t>> Drawn(const std::string& family,
                                        const Layout& layout,
                                        double temperature,
                                        const char* schedule = "1f1b") {
  train::EngineConfig config = LongToy(family, DType::kF32);
  config.pipeline_schedule = schedule;  // and as many chunks as it has at least
  std::mutex mutex;
  std::vector<std::vector<std::vector<int32_t>>> drawn;
  const std::vector<std::vector<int32_t>> prompts = {Text(5, 4), Text(40, 5),
                                                     Text(1, 6)};
  EISBACH_EXPECT_OK(
      OnRanks(layout, config, [&](train::Engine& engine) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(const auto decoder, DecoderOf(engine));
        EISBACH_ASSIGN_OR_RETURN(
            const std::vector<Continuation> made,
            Generate(*decoder, prompts,
                     {.tokens = 30,
                      .stops = {},
                      .sampling = {.temperature = temperature, .seed = 3}},
                     nullptr));
        const std::scoped_lock lock(mutex);
        drawn.emplace_back();
        for (const Continuation& c : made) drawn.back().push_back(c.tokens);
        return absl::OkStatus();
      }));
  for (const auto& texts : drawn) EXPECT_EQ(texts, drawn[0]);
  EXPECT_EQ(static_cast<int>(drawn.size()), layout.ranks());
  return drawn.empty() ? std::vector<std::vector<int32_t>>() : drawn[0];
}

TEST(DecoderTest, EveryLayoutDrawsTheSameTexts) {
  for (const char* family : {"gpt", "llama", "qwen3"}) {
    for (double temperature : {0.0, 1.0}) {
      const auto one = Drawn(family, {}, temperature);
      for (const Layout& layout :
           {Layout{1, 2, 1}, Layout{1, 3, 1}, Layout{1, 1, 2}, Layout{2, 1, 1},
            Layout{1, 2, 2}, Layout{1, 1, 4}}) {
        if (temperature == 0 && layout.ranks() < 4) continue;
        EXPECT_EQ(Drawn(family, layout, temperature), one)
            << family << " " << layout.ToString() << " " << temperature;
      }
    }
  }
}

TEST(DecoderTest, SeveralChunksAStageDrawTheSameTexts) {
  const auto one = Drawn("gpt", {}, 1.0);
  for (const char* schedule : {"interleaved", "zb_v"}) {
    for (const Layout& layout :
         {Layout{1, 1, 1}, Layout{1, 1, 3}, Layout{1, 2, 2}}) {
      EXPECT_EQ(Drawn("gpt", layout, 1.0, schedule), one)
          << schedule << " " << layout.ToString();
    }
  }
}

TEST(DecoderTest, ATextInABatchIsTheOneThatItIsAlone) {
  EISBACH_EXPECT_OK(OnRanks(
      {}, LongToy("llama", DType::kF32),
      [](train::Engine& engine) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(const auto together, DecoderOf(engine));
        const GenerateOptions options{
            .tokens = 200, .stops = {}, .sampling = {.temperature = 0}};
        const std::vector<std::vector<int32_t>> prompts = {
            Text(7, 4), Text(120, 5), Text(1, 6)};
        EISBACH_ASSIGN_OR_RETURN(
            const auto made, Generate(*together, prompts, options, nullptr));
        for (size_t i = 0; i < prompts.size(); ++i) {
          EISBACH_ASSIGN_OR_RETURN(const auto alone, DecoderOf(engine));
          EISBACH_ASSIGN_OR_RETURN(
              const auto one, Generate(*alone, {prompts[i]}, options, nullptr));
          EXPECT_EQ(made[i].tokens, one[0].tokens) << i;
          EXPECT_EQ(made[i].end, TextEnd::kContext);
          EXPECT_EQ(prompts[i].size() + made[i].tokens.size(), 150u);
        }
        return absl::OkStatus();
      }));
}

TEST(DecoderTest, ARankKeepsTheKeysOfItsHeadsAndLayers) {
  for (const Layout& layout : {Layout{}, Layout{1, 2, 1}, Layout{1, 1, 2}}) {
    EISBACH_EXPECT_OK(OnRanks(
        layout, LongToy("llama", DType::kF32),
        [&](train::Engine& engine) -> absl::Status {
          EISBACH_ASSIGN_OR_RETURN(const auto decoder, DecoderOf(engine));
          EXPECT_EQ(decoder->cache_bytes(), 0);
          EISBACH_RETURN_IF_ERROR(decoder->Feed({{0, Text(6, 1)}}).status());
          // 8 layers, 8 key/value heads of 4, 6 tokens.
          EXPECT_EQ(decoder->cache_bytes(),
                    2 * 8 * 8 * 4 * 6 * 4 / layout.ranks());
          return absl::OkStatus();
        }));
  }
}

TEST(DecoderTest, MoreThanTheContextIsRefused) {
  EISBACH_EXPECT_OK(OnRanks(
      {}, test::ToyConfig("gpt"), [](train::Engine& engine) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(const auto decoder, DecoderOf(engine));
        EXPECT_THAT(decoder->Feed({{0, Text(9, 1)}}),
                    test::StatusIs(absl::StatusCode::kInvalidArgument,
                                   "9 tokens behind 0 of slot 0"));
        EISBACH_RETURN_IF_ERROR(decoder->Feed({{0, Text(8, 1)}}).status());
        EXPECT_THAT(decoder->Feed({{0, Text(1, 1)}}),
                    test::StatusIs(absl::StatusCode::kInvalidArgument,
                                   "1 tokens behind 8"));
        return absl::OkStatus();
      }));
}

}  // namespace
}  // namespace eisbach::models::decoder_test
