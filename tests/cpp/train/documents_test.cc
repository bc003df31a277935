// Rows in which documents lie side by side train as if each had a row of its
// own.

#include <gtest/gtest.h>

#include <functional>

#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::documents_test {
namespace {

using test::Layout;
using test::StatusIs;

constexpr int kSteps = 3;

// A body on every rank of a layout.
absl::Status OnLayout(const Layout& layout, const EngineConfig& config,
                      const test::EngineBody& body) {
  return comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, /*threads=*/1, [&](comm::World& world) {
        return test::WithEngine(world, layout, config, body);
      });
}

// Two documents a row, of 1 to 7 tokens.
int64_t Border(int64_t sample) { return 1 + sample * 5 % 7; }

absl::StatusOr<StepInput> PackedInput(const Engine& engine, int64_t step) {
  EISBACH_ASSIGN_OR_RETURN(StepInput input, test::ToyInput(engine, step));
  EISBACH_ASSIGN_OR_RETURN(input.starts,
                           Tensor::Empty(input.tokens.shape(), DType::kI32,
                                         engine.context().device()));
  const int64_t length = input.tokens.dim(1);
  for (int64_t s = 0; s < input.tokens.dim(0); ++s) {
    const int64_t border = Border(input.sample_index.data<int64_t>()[s]);
    for (int64_t t = 0; t < length; ++t) {
      input.starts.data<int32_t>()[s * length + t] =
          static_cast<int32_t>(t < border ? 0 : border);
    }
  }
  return input;
}

// The same documents, each at the beginning of a row of its own, padded.
absl::StatusOr<StepInput> SeparateInput(const StepInput& packed) {
  Device& device = packed.tokens.device();
  const int64_t rows = packed.tokens.dim(0), length = packed.tokens.dim(1);
  StepInput input;
  for (Tensor* tensor : {&input.tokens, &input.targets}) {
    EISBACH_ASSIGN_OR_RETURN(
        *tensor, Tensor::Empty(Shape{2 * rows, length}, DType::kI32, device));
  }
  EISBACH_ASSIGN_OR_RETURN(input.sample_index,
                           Tensor::Empty(Shape{2 * rows}, DType::kI64, device));
  for (int64_t row = 0; row < 2 * rows; ++row) {
    const int64_t s = row / 2;
    const int64_t border = Border(packed.sample_index.data<int64_t>()[s]);
    const int64_t first = row % 2 == 0 ? 0 : border;
    const int64_t count = (row % 2 == 0 ? border : length) - first;
    input.sample_index.data<int64_t>()[row] = row;
    for (int64_t t = 0; t < length; ++t) {
      const int64_t from = s * length + first + t, to = row * length + t;
      const bool there = t < count;
      input.tokens.data<int32_t>()[to] =
          there ? packed.tokens.data<int32_t>()[from] : 7;
      input.targets.data<int32_t>()[to] =
          there ? packed.targets.data<int32_t>()[from] : -1;
    }
  }
  return input;
}

struct Outcome {
  test::Trained trained;
  double evaluated = 0;  // after the last step
};

using Input = std::function<absl::StatusOr<StepInput>(const Engine&, int64_t)>;

absl::StatusOr<Outcome> Train(const Layout& layout, const EngineConfig& config,
                              const Input& make) {
  Outcome outcome;
  EISBACH_RETURN_IF_ERROR(
      OnLayout(layout, config, [&](Engine& engine) -> absl::Status {
        Outcome mine;
        for (int step = 1; step <= kSteps; ++step) {
          EISBACH_ASSIGN_OR_RETURN(const StepInput input, make(engine, step));
          EISBACH_ASSIGN_OR_RETURN(StepResult result, engine.Step(input));
          mine.trained.curve.push_back(result);
          if (step > 1) continue;
          EISBACH_ASSIGN_OR_RETURN(
              mine.trained.gradients,
              checkpoint::GatherParameters(
                  engine.update().parameters(),
                  checkpoint::ParameterValue::kGradient, engine.context()));
          // They are of the mean over all tokens; what counts is known later.
          const auto factor = static_cast<float>(
              static_cast<double>(config.global_batch * config.model.context) /
              static_cast<double>(result.counted));
          for (checkpoint::LogicalTensor& gradient : mine.trained.gradients) {
            for (float& value : gradient.values) value *= factor;
          }
        }
        EISBACH_ASSIGN_OR_RETURN(const StepInput input,
                                 make(engine, kSteps + 1));
        EISBACH_ASSIGN_OR_RETURN(mine.evaluated, engine.Evaluate(input));
        if (engine.context().world().rank() == 0) outcome = std::move(mine);
        return absl::OkStatus();
      }));
  return outcome;
}

void ExpectAlike(const Outcome& got, const Outcome& want,
                 const std::string& what) {
  test::ExpectTrainsLike(got.trained, want.trained, test::kFloat32Tolerance,
                         what);
  EXPECT_NEAR(got.evaluated, want.evaluated, 1e-5 * want.evaluated) << what;
}

EngineConfig Config(const std::string& family) {
  EngineConfig config = test::ToyConfig(family);
  config.micro_batch = 2;
  return config;
}

// Rotary and learned positions.
constexpr const char* kFamilies[] = {"llama", "gpt"};

TEST(DocumentsTest, PackedRowsTrainLikeSeparateOnes) {
  for (const char* family : kFamilies) {
    EngineConfig separate = Config(family);
    separate.global_batch *= 2;
    const Outcome want = test::Value(
        Train({}, separate, [&](const Engine& engine, int64_t step) {
          // Of the rows of 24 samples.
          EngineConfig half = engine.config();
          half.global_batch /= 2;
          StepInput packed = test::Value(
              test::ToyInput(half, step, 0, 1, engine.context().device()));
          return SeparateInput(packed);
        }));
    ExpectAlike(test::Value(Train({}, Config(family), PackedInput)), want,
                family);
    // One document a row is something else.
    const Outcome joined = test::Value(Train(
        {}, Config(family),
        [](const Engine& engine, int64_t step) -> absl::StatusOr<StepInput> {
          EISBACH_ASSIGN_OR_RETURN(StepInput input, PackedInput(engine, step));
          input.starts = Tensor();
          return input;
        }));
    EXPECT_GT(std::abs(joined.evaluated - want.evaluated), 1e-4) << family;
  }
}

TEST(DocumentsTest, EveryLayoutTrainsLikeOneRank) {
  for (const char* family : kFamilies) {
    for (bool recompute : {false, true}) {
      EngineConfig config = Config(family);
      const Outcome want = test::Value(Train({}, config, PackedInput));
      config.recompute =
          recompute ? nn::Recompute::kSelective : nn::Recompute::kNothing;
      config.deferred_weights = recompute;
      for (const Layout& layout :
           {Layout{2, 1, 1}, Layout{1, 2, 1}, Layout{1, 1, 2}, Layout{2, 2, 2},
            test::WithContext(2), test::WithContext(4)}) {
        ExpectAlike(test::Value(Train(layout, config, PackedInput)), want,
                    absl::StrCat(family, " ", layout.ToString()));
      }
      config.ulysses_group = 2;
      ExpectAlike(test::Value(Train(test::WithContext(4), config, PackedInput)),
                  want, absl::StrCat(family, " ulysses_ring"));
    }
  }
}

// Tokens of the first document of each row change, and not a bit of the loss of
// the second; nor does the first see the second.
TEST(DocumentsTest, ADocumentChangesNoBitOfAnotherOnesLoss) {
  for (const char* family : kFamilies) {
    for (DType compute : {DType::kF32, DType::kBF16}) {
      EngineConfig config = Config(family);
      config.update.compute_dtype = compute;
      EISBACH_EXPECT_OK(
          OnLayout({}, config, [&](Engine& engine) -> absl::Status {
            for (bool first : {true, false}) {
              const auto loss = [&](int shift) -> absl::StatusOr<double> {
                EISBACH_ASSIGN_OR_RETURN(StepInput input,
                                         PackedInput(engine, 1));
                const int64_t length = input.tokens.dim(1);
                for (int64_t i = 0; i < input.tokens.elements(); ++i) {
                  const int32_t start = input.starts.data<int32_t>()[i];
                  if ((start == 0) == first) {
                    int32_t& token = input.tokens.data<int32_t>()[i];
                    token = (token + shift) % 101;
                    input.targets.data<int32_t>()[i] = -1;
                  }
                  EXPECT_LT(start, length);
                }
                return engine.Evaluate(input);
              };
              EISBACH_ASSIGN_OR_RETURN(const double before, loss(0));
              EISBACH_ASSIGN_OR_RETURN(const double after, loss(13));
              EXPECT_EQ(before, after) << family << " " << Name(compute);
            }
            return absl::OkStatus();
          }));
    }
  }
}

TEST(DocumentsTest, StartsThatCannotBeAreRefused) {
  EISBACH_EXPECT_OK(
      OnLayout({}, Config("llama"), [](Engine& engine) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(StepInput input, PackedInput(engine, 1));
        input.starts.data<int32_t>()[9] = 5;
        EXPECT_THAT(engine.Step(input),
                    StatusIs(absl::StatusCode::kInvalidArgument,
                             "a step: starts[1, 1]=5 must be 1"));
        EISBACH_ASSIGN_OR_RETURN(
            input.starts,
            Tensor::Empty(Shape{24, 7}, DType::kI32, input.tokens.device()));
        EXPECT_THAT(
            engine.Step(input),
            StatusIs(absl::StatusCode::kInvalidArgument, "starts=i32[24, 7]"));
        return absl::OkStatus();
      }));
}

}  // namespace
}  // namespace eisbach::train::documents_test
