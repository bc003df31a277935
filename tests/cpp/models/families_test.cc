#include <gtest/gtest.h>

#include "models/config.h"
#include "support/status_testing.h"

namespace eisbach::models::families_test {
namespace {

using test::StatusIs;
using test::Value;

// Published sizes, to the last parameter.
TEST(FamiliesTest, HaveTheParametersOfKnownModels) {
  struct Known {
    const char* model;
    ModelConfig config;
    int64_t parameters;
  };
  const auto sizes = [](const char* family, int64_t layers, int64_t hidden,
                        int64_t heads, int64_t kv_heads, int64_t head_dim,
                        int64_t ffn_hidden, int64_t vocab, bool tied) {
    return ModelConfig{.family = family,
                       .architecture = Value(FindFamily(family)),
                       .layers = layers,
                       .hidden = hidden,
                       .heads = heads,
                       .kv_heads = kv_heads,
                       .head_dim = head_dim,
                       .ffn_hidden = ffn_hidden,
                       .context = 1024,
                       .vocab = vocab,
                       .dropout = 0,
                       .tie_embeddings = tied,
                       .norm_eps = 1e-5};
  };
  const Known models[] = {
      {"GPT-2", sizes("gpt", 12, 768, 12, 12, 64, 3072, 50257, true),
       124439808},
      {"Llama 2 7B", sizes("llama", 32, 4096, 32, 32, 128, 11008, 32000, false),
       6738415616},
      {"SmolLM2 135M", sizes("llama", 30, 576, 9, 3, 64, 1536, 49152, true),
       134515008},
      {"Mistral 7B",
       sizes("mistral", 32, 4096, 32, 8, 128, 14336, 32000, false), 7241732096},
      {"Qwen2.5 0.5B", sizes("qwen2", 24, 896, 14, 2, 64, 4864, 151936, true),
       494032768},
      {"Qwen3 0.6B", sizes("qwen3", 28, 1024, 16, 8, 128, 3072, 151936, true),
       596049920},
      {"SmolLM3 3B",
       sizes("smollm3", 36, 2048, 16, 4, 128, 11008, 128256, true), 3075098624},
      {"Phi-3 mini", sizes("phi3", 32, 3072, 32, 32, 96, 8192, 32064, false),
       3821079552},
      {"OLMo 2 7B", sizes("olmo2", 32, 4096, 32, 32, 128, 11008, 100352, false),
       7298617344},
      {"Gemma 2 2B", sizes("gemma2", 26, 2304, 8, 4, 256, 9216, 256000, true),
       2614341888},
      {"Gemma 3 1B", sizes("gemma3", 26, 1152, 4, 1, 256, 6912, 262144, true),
       999885952},
      {"Apertus 8B",
       sizes("apertus", 32, 4096, 32, 8, 128, 21504, 131072, false),
       8053338176}};
  for (const Known& known : models) {
    EISBACH_EXPECT_OK(Validate(known.config));
    EXPECT_EQ(ParameterCount(known.config), known.parameters) << known.model;
  }
}

TEST(FamiliesTest, UnknownOnesAreToldWhatThereIs) {
  EXPECT_THAT(FindFamily("mamba").status(),
              StatusIs(absl::StatusCode::kNotFound,
                       "family=mamba is not known (model.family); there are "
                       "gpt, llama, mistral, qwen2, qwen3, smollm3, phi3, "
                       "olmo2, apertus, gemma2, gemma3"));
}

TEST(FamiliesTest, RotateTheLayersThatTheySay) {
  const Architecture gpt = Value(FindFamily("gpt"));
  const Architecture llama = Value(FindFamily("llama"));
  const Architecture smollm3 = Value(FindFamily("smollm3"));
  for (int64_t layer = 0; layer < 8; ++layer) {
    EXPECT_FALSE(gpt.RotatesLayer(layer));
    EXPECT_TRUE(llama.RotatesLayer(layer));
    EXPECT_EQ(smollm3.RotatesLayer(layer), layer != 3 && layer != 7);
  }
}

}  // namespace
}  // namespace eisbach::models::families_test
