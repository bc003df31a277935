// What our kernels move through the GPU's memory, counted sector by sector on
// the emulated one, against what their ops say is the least: every operand read
// once and every result written once.
#include "support/cuda/traffic.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "ops/activation.h"
#include "ops/cross_entropy.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/norm.h"
#include "ops/optimizer.h"
#include "ops/reduce.h"
#include "ops/rope.h"
#include "support/op_testing.h"

namespace eisbach::traffic_test {
namespace {

using doubles::Traffic;
using doubles::traffic;
using ops::NormKind;
using test::CostRecorder;
using test::Indices;
using test::Normal;
using test::TheDevice;
using test::TheStream;
using test::Value;

constexpr int64_t kTokens = 1024, kHidden = 768, kVocab = 4096;
constexpr DType kType = DType::kBF16;

struct Measured {
  double counted;
  double least;
};

// Bytes that `op` moves, and that its cost tells.
Measured Measure(const std::function<void()>& op) {
  EXPECT_TRUE(TheStream().Synchronize().ok());
  CostRecorder recorder(TheDevice());
  const Traffic before = traffic();
  op();
  EXPECT_TRUE(TheStream().Synchronize().ok());
  const Traffic after = traffic();
  Measured measured{after.read - before.read + after.written - before.written,
                    0};
  for (const auto& [name, cost] : recorder.ops) {
    measured.least += cost.bytes_read + cost.bytes_written;
  }
  return measured;
}

class Table {
 public:
  ~Table() {
    std::printf("%-28s %8.2f MB, least %8.2f MB: %.3f x\n", "together",
                sum_.counted * 1e-6, sum_.least * 1e-6,
                sum_.counted / sum_.least);
    EXPECT_LE(sum_.counted, 1.1 * sum_.least);
  }
  void Add(const std::string& name, const std::function<void()>& op,
           double limit = 1.1) {
    const Measured m = Measure(op);
    std::printf("%-28s %8.2f MB, least %8.2f MB: %.3f x\n", name.c_str(),
                m.counted * 1e-6, m.least * 1e-6, m.counted / m.least);
    EXPECT_GT(m.counted, 0.9 * m.least) << name << ": not all was counted";
    EXPECT_LE(m.counted, limit * m.least) << name;
    sum_.counted += m.counted;
    sum_.least += m.least;
  }

 private:
  Measured sum_{0, 0};
};

TEST(Traffic, ALayerMovesLittleMoreThanItMust) {
  Table table;
  const Tensor x = Normal({1, kTokens, kHidden}, kType, 1);
  const Tensor residual = Normal({1, kTokens, kHidden}, kType, 2);
  const Tensor weight = Normal({kHidden}, kType, 3);
  const Tensor bias = Normal({kHidden}, kType, 4);
  const Tensor dweight = Normal({kHidden}, DType::kF32, 5);
  const Tensor dbias = Normal({kHidden}, DType::kF32, 6);
  for (NormKind kind : {NormKind::kLayer, NormKind::kRms}) {
    const bool layer = kind == NormKind::kLayer;
    const std::string name = layer ? "layer norm" : "rms norm";
    ops::NormOutput out;
    table.Add(name + " + residual", [&] {
      out = Value(ops::NormForward(kind, 1e-5f, x, &residual, weight,
                                   layer ? &bias : nullptr, TheStream()));
    });
    table.Add(name + " again", [&] {
      Value(ops::Normalize(kind, out.sum, weight, layer ? &bias : nullptr,
                           layer ? &out.mean : nullptr, out.rstd, TheStream()));
    });
    table.Add(
        name + " backward",
        [&] {
          Value(ops::NormBackward(
              kind, x, &residual, out.sum, weight, layer ? &out.mean : nullptr,
              out.rstd, true, dweight, layer ? &dbias : nullptr, TheStream()));
        },
        // Partial sums of the weights' gradients, a row of them a block.
        1.15);
  }
  const Tensor wide = Normal({kTokens, 4 * kHidden}, kType, 7);
  const Tensor dwide = Normal({kTokens, 4 * kHidden}, kType, 10);
  table.Add("gelu", [&] { Value(ops::GeluForward(wide, TheStream())); });
  table.Add("gelu backward",
            [&] { Value(ops::GeluBackward(dwide, wide, TheStream())); });
  table.Add("swiglu", [&] { Value(ops::SwigluForward(wide, TheStream())); });
  const Tensor half = Normal({kTokens, 2 * kHidden}, kType, 8);
  table.Add("swiglu backward",
            [&] { Value(ops::SwigluBackward(half, wide, TheStream())); });
  const ops::AttentionHeads heads{.heads = 12, .kv_heads = 12, .head_dim = 64};
  const Tensor qkv = Normal({1, kTokens, 3 * kHidden}, kType, 9);
  const Tensor angles =
      Value(ops::RopeTable(kTokens, 64, ops::PlainRope(1e4), TheStream()));
  table.Add("rope", [&] {
    EISBACH_EXPECT_OK(ops::Rope(qkv, heads, angles, false, TheStream()));
  });
  table.Add("residual sum", [&] { Value(ops::Add(x, residual, TheStream())); });
}

TEST(Traffic, TheEndsOfAModelToo) {
  Table table;
  const Tensor ids = Indices({1, kTokens}, DType::kI32, kVocab, 1);
  const Tensor rows = Normal({kVocab, kHidden}, kType, 2);
  // The least counts the rows of tokens, not of the table.
  table.Add("embedding", [&] {
    Value(ops::EmbeddingForward(ids, rows, 0, kVocab, TheStream()));
  });
  const Tensor logits = Normal({kTokens, kVocab}, kType, 3);
  const Tensor targets = Indices({kTokens}, DType::kI32, kVocab, 4);
  Tensor stats;
  table.Add("cross-entropy", [&] {
    stats =
        Value(ops::CrossEntropyStats(logits, targets, 0, kVocab, TheStream()));
  });
  const Tensor all = Value(stats.View({1, kTokens, 3}));
  const ops::CrossEntropyOutput out =
      Value(ops::CrossEntropyCombine(all, targets, kVocab, TheStream()));
  table.Add("cross-entropy backward", [&] {
    EISBACH_EXPECT_OK(ops::CrossEntropyBackward(logits, targets, out.lse, 0,
                                                kVocab, 1.0f, TheStream()));
  });
}

TEST(Traffic, AndTheOptimizer) {
  Table table;
  constexpr int64_t kElements = int64_t{1} << 20;
  const auto flat = [](DType dtype, uint64_t seed) {
    return Normal({kElements}, dtype, seed);
  };
  const Tensor master = flat(DType::kF32, 1), grad = flat(DType::kF32, 2),
               m = flat(DType::kF32, 3), data = flat(kType, 5);
  const Tensor v = test::FromValues({kElements}, DType::kF32,
                                    std::vector<double>(kElements, 1.0));
  const Tensor state = test::FromValues({ops::kStepStateSize}, DType::kF32,
                                        {1e-3, 1, 0.1, 0.1, 1, 0, 0, 0});
  table.Add("adamw", [&] {
    EISBACH_EXPECT_OK(ops::AdamW({.master = master,
                                  .grad = grad,
                                  .m = m,
                                  .v = v,
                                  .data = data,
                                  .step_state = state,
                                  .beta1 = 0.9f,
                                  .beta2 = 0.95f,
                                  .eps = 1e-8f,
                                  .weight_decay = 0.1f},
                                 TheStream()));
  });
  const Tensor sum = test::FromValues({1}, DType::kF64, {0});
  table.Add("gradient norm", [&] {
    EISBACH_EXPECT_OK(ops::SumOfSquares(grad, false, sum, TheStream()));
  });
}

}  // namespace
}  // namespace eisbach::traffic_test
