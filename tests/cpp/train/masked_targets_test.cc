// Targets below 0: loss, gradient and step are those of the tokens that count.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <mutex>

#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::masked_targets_test {
namespace {

using test::Layout;
using test::StatusIs;

constexpr int kSteps = 4;

// Whether the target of a sample of the global batch, at a position, counts.
using Rule = std::function<bool(int64_t sample, int64_t position)>;

// From a sample in which all count to one in which none does.
bool Unequal(int64_t sample, int64_t position) {
  return position >= sample % 9;
}

absl::StatusOr<StepInput> MaskedInput(const Engine& engine, int64_t step,
                                      const Rule& counts) {
  const EngineConfig& config = engine.config();
  EISBACH_ASSIGN_OR_RETURN(StepInput input, test::ToyInput(engine, step));
  for (int64_t s = 0; s < input.targets.dim(0); ++s) {
    const int64_t sample =
        input.sample_index.data<int64_t>()[s] % config.global_batch;
    for (int64_t t = 0; t < config.model.context; ++t) {
      if (counts(sample, t)) continue;
      input.targets.data<int32_t>()[s * config.model.context + t] = -100;
    }
  }
  return input;
}

// A body on every rank of a layout.
absl::Status OnLayout(const Layout& layout, const EngineConfig& config,
                      const test::EngineBody& body) {
  return comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, /*threads=*/1, [&](comm::World& world) {
        return test::WithEngine(world, layout, config, body);
      });
}

struct Outcome {
  test::Curve curve;
  double evaluated = 0;  // after the last step
};

absl::StatusOr<Outcome> TrainMasked(const Layout& layout,
                                    const EngineConfig& config,
                                    const Rule& counts) {
  Outcome outcome;
  EISBACH_RETURN_IF_ERROR(
      OnLayout(layout, config, [&](Engine& engine) -> absl::Status {
        test::Curve curve;
        for (int step = 1; step <= kSteps; ++step) {
          EISBACH_ASSIGN_OR_RETURN(StepInput input,
                                   MaskedInput(engine, step, counts));
          EISBACH_ASSIGN_OR_RETURN(StepResult result, engine.Step(input));
          curve.push_back(result);
        }
        EISBACH_ASSIGN_OR_RETURN(StepInput input,
                                 MaskedInput(engine, kSteps + 1, counts));
        EISBACH_ASSIGN_OR_RETURN(const double loss, engine.Evaluate(input));
        if (engine.context().world().rank() == 0) outcome = {curve, loss};
        return absl::OkStatus();
      }));
  return outcome;
}

void ExpectAlike(const Outcome& got, const Outcome& want, double tolerance,
                 const std::string& what) {
  test::ExpectCloseCurves(got.curve, want.curve, tolerance, what);
  for (size_t i = 0; i < want.curve.size(); ++i) {
    EXPECT_EQ(got.curve[i].counted, want.curve[i].counted) << what;
  }
  EXPECT_NEAR(got.evaluated, want.evaluated, tolerance * want.evaluated)
      << what;
}

EngineConfig Config(const std::string& family) {
  EngineConfig config = test::ToyConfig(family);
  config.micro_batch = 2;
  // So small that every step is clipped by it.
  config.update.clip_grad_norm = 0.5f;
  return config;
}

TEST(MaskedTargetsTest, EveryLayoutTrainsLikeOneRank) {
  for (const char* family : {"gpt", "llama"}) {
    const Outcome want = test::Value(TrainMasked({}, Config(family), Unequal));
    for (const Layout& layout :
         {Layout{2, 1, 1}, Layout{1, 2, 1}, Layout{1, 1, 2}, Layout{2, 2, 2},
          test::WithContext(2), test::WithContext(4, {2, 1, 1})}) {
      ExpectAlike(test::Value(TrainMasked(layout, Config(family), Unequal)),
                  want, 1e-5, absl::StrCat(family, " ", layout.ToString()));
    }
    EXPECT_LT(want.curve[0].counted, 24 * 8);
  }
}

// The loss against a softmax in double over the logits of the same weights.
TEST(MaskedTargetsTest, TheLossIsTheMeanOfTheTokensThatCount) {
  EISBACH_EXPECT_OK(
      OnLayout({}, Config("llama"), [](Engine& engine) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(StepInput input,
                                 MaskedInput(engine, 1, Unequal));
        EISBACH_ASSIGN_OR_RETURN(const Tensor logits,
                                 engine.Logits(input.tokens));
        const int64_t vocab = logits.dim(2);
        double sum = 0;
        int64_t counted = 0;
        for (int64_t row = 0; row < input.targets.elements(); ++row) {
          const int32_t target = input.targets.data<int32_t>()[row];
          if (target < 0) continue;
          const float* x = logits.data<float>() + row * vocab;
          double exps = 0;
          for (int64_t c = 0; c < vocab; ++c) {
            exps += std::exp(static_cast<double>(x[c]));
          }
          sum += std::log(exps) - x[target];
          ++counted;
        }
        EISBACH_ASSIGN_OR_RETURN(const double evaluated,
                                 engine.Evaluate(input));
        EISBACH_ASSIGN_OR_RETURN(const StepResult result, engine.Step(input));
        EXPECT_EQ(result.counted, counted);
        EXPECT_NEAR(evaluated, sum / counted, 1e-6 * evaluated);
        EXPECT_NEAR(result.loss, sum / counted, 1e-6 * result.loss);
        return absl::OkStatus();
      }));
}

// What losses have besides: means over the tokens that count, on every layout,
// which neither a reported nor an evaluated loss has.
TEST(MaskedTargetsTest, TermsAreMeansOfTheTokensThatCount) {
  EngineConfig config = Config("gpt");
  const Outcome plain = test::Value(TrainMasked({}, config, Unequal));
  config.terms = {.z_loss = 0.01f, .label_smoothing = 0.1f};
  const Outcome want = test::Value(TrainMasked({}, config, Unequal));
  EXPECT_NEAR(want.curve[0].loss, plain.curve[0].loss, 1e-6);
  EXPECT_GT(std::abs(want.curve[0].grad_norm - plain.curve[0].grad_norm), 1e-3);
  EXPECT_FALSE(plain.curve[0].added.has_value());
  for (const Layout& layout :
       {Layout{2, 1, 1}, Layout{1, 3, 1}, Layout{1, 1, 2}, Layout{2, 2, 2}}) {
    const Outcome got = test::Value(TrainMasked(layout, config, Unequal));
    ExpectAlike(got, want, 1e-5, layout.ToString());
    for (size_t i = 0; i < want.curve.size(); ++i) {
      const AddedLosses a = got.curve[i].added.value_or(AddedLosses());
      const AddedLosses b = want.curve[i].added.value_or(AddedLosses());
      EXPECT_NEAR(a.z_loss, b.z_loss, 1e-5 * b.z_loss);
      EXPECT_NEAR(a.label_smoothing, b.label_smoothing, 1e-6);
    }
  }
  EISBACH_EXPECT_OK(OnLayout({}, config, [](Engine& engine) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(StepInput input, MaskedInput(engine, 1, Unequal));
    EISBACH_ASSIGN_OR_RETURN(const Tensor logits, engine.Logits(input.tokens));
    const int64_t vocab = logits.dim(2);
    double z = 0, smoothing = 0;
    for (int64_t row = 0; row < input.targets.elements(); ++row) {
      const int32_t target = input.targets.data<int32_t>()[row];
      if (target < 0) continue;
      const float* x = logits.data<float>() + row * vocab;
      double exps = 0, mean = 0;
      for (int64_t c = 0; c < vocab; ++c) {
        exps += std::exp(static_cast<double>(x[c]));
        mean += static_cast<double>(x[c]) / static_cast<double>(vocab);
      }
      z += 0.01 * std::log(exps) * std::log(exps);
      smoothing += 0.1 * (x[target] - mean);
    }
    EISBACH_ASSIGN_OR_RETURN(const StepResult result, engine.Step(input));
    const double counted = static_cast<double>(result.counted);
    const AddedLosses added = result.added.value_or(AddedLosses());
    EXPECT_NEAR(added.z_loss, z / counted, 1e-5 * added.z_loss);
    EXPECT_NEAR(added.label_smoothing, smoothing / counted, 1e-6);
    return absl::OkStatus();
  }));
}

TEST(MaskedTargetsTest, TermsAreOfTokensAlone) {
  EngineConfig config = Config("gpt");
  config.terms.z_loss = -1;
  const auto mesh = test::Value(parallel::MakeMesh(1, {}));
  EXPECT_THAT(Engine::Validate(config, mesh),
              StatusIs(absl::StatusCode::kInvalidArgument, "(train.z_loss)"));
  config.terms = {.label_smoothing = 1};
  EXPECT_THAT(Engine::Validate(config, mesh),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "label_smoothing=1 is outside [0, 1)"));
  config.terms.label_smoothing = 0.1f;
  config.preference = PreferenceConfig{.rule = {}, .stored_reference = true};
  config.preference->rule.beta = 0.1f;
  EXPECT_THAT(Engine::Validate(config, mesh),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "train.objective=next_token"));
}

// Samples of which nothing counts are as if they were not there.
TEST(MaskedTargetsTest, ASampleThatIsMaskedIsAsIfItWereNotThere) {
  for (DType compute : {DType::kF32, DType::kF16}) {
    EngineConfig half = Config("gpt");
    half.update.compute_dtype = compute;
    half.update.initial_loss_scale = 1024;
    EngineConfig whole = half;
    half.global_batch = 12;
    const auto train = [](const EngineConfig& config, const Rule& counts) {
      Outcome outcome;
      EISBACH_EXPECT_OK(
          OnLayout({}, config, [&](Engine& engine) -> absl::Status {
            for (int step = 1; step <= kSteps; ++step) {
              // The first twelve samples of a batch of 24 are those of 12.
              EISBACH_ASSIGN_OR_RETURN(StepInput input,
                                       MaskedInput(engine, 1, counts));
              EISBACH_ASSIGN_OR_RETURN(StepResult result, engine.Step(input));
              outcome.curve.push_back(result);
            }
            EISBACH_ASSIGN_OR_RETURN(StepInput input,
                                     MaskedInput(engine, 1, counts));
            EISBACH_ASSIGN_OR_RETURN(outcome.evaluated, engine.Evaluate(input));
            return absl::OkStatus();
          }));
      return outcome;
    };
    ExpectAlike(train(whole, [](int64_t s, int64_t) { return s < 12; }),
                train(half, [](int64_t, int64_t) { return true; }),
                compute == DType::kF32 ? 1e-5 : 1e-2,
                std::string(Name(compute)));
  }
}

TEST(MaskedTargetsTest, AnEvaluationWeighsBatchesByWhatCounts) {
  EISBACH_EXPECT_OK(
      OnLayout({}, Config("gpt"), [](Engine& engine) -> absl::Status {
        LossSum all;
        double sum = 0;
        int64_t counted = 0;
        for (int step = 1; step <= 3; ++step) {
          EISBACH_ASSIGN_OR_RETURN(
              StepInput input,
              MaskedInput(engine, step, [step](int64_t s, int64_t t) {
                return t < 2 * step && s >= step;
              }));
          EISBACH_RETURN_IF_ERROR(engine.Evaluate(input, all));
          EISBACH_ASSIGN_OR_RETURN(const double mean, engine.Evaluate(input));
          sum += mean * 2 * step * (24 - step);
          counted += 2 * step * (24 - step);
        }
        EXPECT_EQ(all.counted, counted);
        EXPECT_NEAR(test::Value(all.Mean()), sum / counted, 1e-12);
        return absl::OkStatus();
      }));
}

// Nothing counts on any rank: an error on all, and the weights stay. Steps that
// were submitted after it are void, others are not.
TEST(MaskedTargetsTest, AStepInWhichNothingCountsIsRefused) {
  const Rule none = [](int64_t, int64_t) { return false; };
  for (DType compute : {DType::kF32, DType::kF16}) {
    for (const Layout& layout : {Layout{1, 1, 1}, Layout{2, 2, 2}}) {
      EngineConfig config = Config("gpt");
      config.update.compute_dtype = compute;
      config.update.initial_loss_scale = 64;
      int told = 0;
      std::mutex mutex;
      EISBACH_EXPECT_OK(
          OnLayout(layout, config, [&](Engine& engine) -> absl::Status {
            EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
            Parameter& parameter = *engine.update().parameters()[0];
            const std::vector<float> before(parameter.master().data<float>(),
                                            parameter.master().data<float>() +
                                                parameter.master().elements());
            EISBACH_ASSIGN_OR_RETURN(StepInput input,
                                     MaskedInput(engine, 2, none));
            const auto refused =
                StatusIs(absl::StatusCode::kInvalidArgument,
                         "step 2, which is void: no token of the global batch "
                         "counts");
            EISBACH_RETURN_IF_ERROR(engine.Submit(input));
            EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
            EXPECT_THAT(engine.Collect(), refused);
            EXPECT_EQ(engine.submitted(), 0);
            EXPECT_EQ(before,
                      std::vector<float>(parameter.master().data<float>(),
                                         parameter.master().data<float>() +
                                             parameter.master().elements()));
            EXPECT_THAT(engine.Evaluate(input),
                        StatusIs(absl::StatusCode::kInvalidArgument,
                                 "no token counts"));
            EISBACH_ASSIGN_OR_RETURN(StepResult next, test::ToyStep(engine));
            EXPECT_EQ(next.step, 3);
            EXPECT_EQ(next.loss_scale, compute == DType::kF16 ? 64 : 1);
            EXPECT_NE(before,
                      std::vector<float>(parameter.master().data<float>(),
                                         parameter.master().data<float>() +
                                             parameter.master().elements()));
            std::lock_guard<std::mutex> lock(mutex);
            ++told;
            return absl::OkStatus();
          }));
      EXPECT_EQ(told, layout.ranks());
    }
  }
}

TEST(IdsTest, WhatIsOutsideTheVocabularyIsRefusedBeforeTheStep) {
  const auto bad = absl::StatusCode::kInvalidArgument;
  EISBACH_EXPECT_OK(
      OnLayout({}, Config("llama"), [&](Engine& engine) -> absl::Status {
        const auto input = [&](bool target, int32_t id) {
          StepInput input = test::Value(
              MaskedInput(engine, 1, [](int64_t, int64_t) { return true; }));
          (target ? input.targets : input.tokens).data<int32_t>()[8 * 3 + 5] =
              id;
          return input;
        };
        const auto place = [](const char* what, int32_t id) {
          return absl::StrCat(what, " ", id,
                              " at position 5 of sample 3 is outside the "
                              "vocabulary of 101");
        };
        for (int32_t id : {-1, 101, 999}) {
          const auto refused = StatusIs(bad, place("token", id));
          EXPECT_THAT(engine.Step(input(false, id)), refused);
          EXPECT_THAT(engine.Evaluate(input(false, id)), refused);
          EXPECT_THAT(engine.Logits(input(false, id).tokens), refused);
        }
        for (int32_t id : {101, 999}) {
          const auto refused = StatusIs(bad, place("target", id));
          EXPECT_THAT(engine.Step(input(true, id)), refused);
          EXPECT_THAT(engine.Evaluate(input(true, id)), refused);
        }
        EXPECT_EQ(engine.update().step(), 0);
        EXPECT_THAT(engine.Step(input(true, -1)), test::IsOk());
        return absl::OkStatus();
      }));
}

// One rank of four has the id; it says so, and no rank waits for it.
TEST(IdsTest, ARankThatRefusesIsNamed) {
  const absl::Status status =
      OnLayout({2, 2, 1}, Config("gpt"), [](Engine& engine) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(
            StepInput input,
            MaskedInput(engine, 1, [](int64_t, int64_t) { return true; }));
        if (engine.context().world().rank() == 2) {
          input.tokens.data<int32_t>()[7] = 101;
        }
        return engine.Step(input).status();
      });
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "rank 2: token 101 at position 7 of sample 0 is outside "
                       "the vocabulary of 101"));
}

// Where nobody looked, as on a GPU, the step is void and then explained: here
// by telling the engine that all is well, so that NaN must do it.
TEST(IdsTest, WhatTheHostKnowsIsNotLookedAtTwice) {
  EISBACH_EXPECT_OK(
      OnLayout({}, Config("gpt"), [](Engine& engine) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(
            StepInput input,
            MaskedInput(engine, 1, [](int64_t, int64_t) { return true; }));
        input.ids_below = 101;
        EISBACH_RETURN_IF_ERROR(engine.Step(input).status());
        input.ids_below = 102;  // a bound above what is there is no fault
        EISBACH_RETURN_IF_ERROR(engine.Step(input).status());
        return absl::OkStatus();
      }));
}

}  // namespace
}  // namespace eisbach::train::masked_targets_test
