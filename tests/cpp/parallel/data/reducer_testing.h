#pragma once

#include <cmath>

#include "absl/strings/str_cat.h"
#include "comm/world.h"
#include "ops/elementwise.h"
#include "parallel/data/reducer.h"
#include "parallel/data/shard_reducer.h"
#include "support/op_testing.h"

// What a reducer does on any device: reducer_test.cc has ranks that are threads
// on a CPU, reducer_mpi_test.cc processes that have a GPU each. All work is
// given to the compute stream, and nobody waits before a gradient is read.
namespace eisbach::parallel {

inline constexpr int kParameters = 6;
inline constexpr int64_t kElements = 100;

// One rank's parameters, two a bucket: bucket 0 holds 5 and 4, the last ones
// of forward.
struct Stage {
  static absl::StatusOr<std::unique_ptr<Stage>> Make(
      Stream& stream, const Division& division = {}) {
    auto stage = std::make_unique<Stage>();
    std::vector<Parameter*> list;
    for (int i = 0; i < kParameters; ++i) {
      stage->parameters.push_back(std::make_unique<Parameter>(
          WholeParam(absl::StrCat("p", i), {kElements}, {}, true)));
      list.push_back(stage->parameters.back().get());
    }
    EISBACH_ASSIGN_OR_RETURN(
        stage->buffer,
        FlatBuffer::Make(list, DType::kF32, 2 * 128 * 4, stream, division));
    EXPECT_EQ(stage->buffer->buckets().size(), 3);
    EISBACH_ASSIGN_OR_RETURN(
        stage->ones, Tensor::Empty({kElements}, DType::kF32, stream.device()));
    const std::vector<float> ones(kElements, 1.0f);
    EISBACH_RETURN_IF_ERROR(stream.device().CopyToDevice(
        stage->ones.raw(), ones.data(), stage->ones.bytes(), stream));
    EISBACH_RETURN_IF_ERROR(stream.Synchronize());
    return stage;
  }

  Parameter& operator[](int i) { return *parameters[i]; }

  // What a backward op does: overwrites or adds, then tells the sink.
  absl::Status Contribute(int i, float value) {
    Parameter& parameter = *parameters[i];
    EISBACH_RETURN_IF_ERROR(parameter.BeforeGradient());
    Stream& stream = ones.device().compute_stream();
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor values,
        Tensor::Empty({kElements}, DType::kF32, ones.device()));
    EISBACH_RETURN_IF_ERROR(ops::Copy(ones, values, stream));
    EISBACH_RETURN_IF_ERROR(ops::Scale(values, value, stream));
    EISBACH_RETURN_IF_ERROR(
        parameter.accumulate()
            ? ops::AddInPlace(parameter.grad(), values, stream)
            : ops::Copy(values, parameter.grad(), stream));
    return parameter.GradientWritten();
  }

  std::vector<std::unique_ptr<Parameter>> parameters;
  std::unique_ptr<FlatBuffer> buffer;
  Tensor ones;
};

using ReducerPtr = std::unique_ptr<GradientSum>;

inline absl::StatusOr<ReducerPtr> MakeReducer(Stage& stage, comm::World& world,
                                              const ParameterUses& uses = {}) {
  const Division& division = stage.buffer->division();
  Stream& stream = world.device().compute_stream();
  if (division.zero < 2 || division.parts == 1) {
    return GradientReducer::Make(*stage.buffer, world.communicator(), uses,
                                 stream);
  }
  return ShardReducer::Make(*stage.buffer, world.communicator(), uses, stream);
}

// Among all ranks of `world`.
inline Division DivisionOf(comm::World& world, int zero) {
  return {.parts = world.size(), .part = world.rank(), .zero = zero};
}

// Each takes the ranks of `world`, which all call it, and divide what `zero`
// says.

inline absl::Status SumsOverRanksAndMicroBatches(comm::World& world, int zero) {
  const int size = world.size();
  const int64_t calls = world.communicator().stats().calls;
  EISBACH_ASSIGN_OR_RETURN(
      auto stage,
      Stage::Make(world.device().compute_stream(), DivisionOf(world, zero)));
  EISBACH_ASSIGN_OR_RETURN(ReducerPtr reducer, MakeReducer(*stage, world));
  for (int step = 1; step <= 3; ++step) {
    EISBACH_RETURN_IF_ERROR(reducer->BeginStep(/*micro_batches=*/2));
    for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
      for (int i = kParameters - 1; i >= 0; --i) {
        EISBACH_RETURN_IF_ERROR(stage->Contribute(
            i, static_cast<float>(step * (i + 1) * (world.rank() + 1))));
      }
    }
    EISBACH_RETURN_IF_ERROR(reducer->Finish());
    for (int i = 0; i < kParameters; ++i) {
      EXPECT_THAT(test::ToDoubles((*stage)[i].reduced()),
                  testing::Each(2 * step * (i + 1) * size * (size + 1) / 2));
    }
  }
  const int rounds = zero < 2 ? 1 : 2;
  EXPECT_EQ(world.communicator().stats().calls - calls,
            size == 1 ? 0 : 3 * 3 * rounds);
  return absl::OkStatus();
}

// Ranks whose backward fills parameters in different orders agree.
inline absl::Status RanksMayFillInAnyOrder(comm::World& world, int zero) {
  const int size = world.size();
  EISBACH_ASSIGN_OR_RETURN(
      auto stage,
      Stage::Make(world.device().compute_stream(), DivisionOf(world, zero)));
  EISBACH_ASSIGN_OR_RETURN(ReducerPtr reducer, MakeReducer(*stage, world));
  EISBACH_RETURN_IF_ERROR(reducer->BeginStep(1));
  for (int i = 0; i < kParameters; ++i) {
    const int p = (i * 5 + world.rank()) % kParameters;
    EISBACH_RETURN_IF_ERROR(stage->Contribute(p, static_cast<float>(p + 1)));
  }
  EISBACH_RETURN_IF_ERROR(reducer->Finish());
  for (int i = 0; i < kParameters; ++i) {
    EXPECT_THAT(test::ToDoubles((*stage)[i].reduced()),
                testing::Each((i + 1) * size));
  }
  return absl::OkStatus();
}

// A parameter that a rank never wrote, or nobody did, counts as zero.
inline absl::Status GradientsNeverWrittenAreZero(comm::World& world, int zero) {
  EISBACH_ASSIGN_OR_RETURN(
      auto stage,
      Stage::Make(world.device().compute_stream(), DivisionOf(world, zero)));
  EISBACH_ASSIGN_OR_RETURN(ReducerPtr reducer, MakeReducer(*stage, world));
  Stream& stream = world.device().compute_stream();
  for (auto& parameter : stage->parameters) {
    if (!parameter->grad().defined()) continue;
    EISBACH_RETURN_IF_ERROR(ops::Copy(stage->ones, parameter->grad(), stream));
    EISBACH_RETURN_IF_ERROR(ops::Scale(parameter->grad(), NAN, stream));
  }
  EISBACH_RETURN_IF_ERROR(reducer->BeginStep(1));
  if (world.rank() == 0) {
    EISBACH_RETURN_IF_ERROR(stage->Contribute(4, 7));
  }
  EISBACH_RETURN_IF_ERROR(reducer->Finish());
  for (int i = 0; i < kParameters; ++i) {
    EXPECT_THAT(test::ToDoubles((*stage)[i].reduced()),
                testing::Each(i == 4 ? 7 : 0));
  }
  return absl::OkStatus();
}

// As a stage whose parameters are all frozen.
inline absl::Status NothingToSumEnds(comm::World& world, int zero) {
  Stage stage;
  EISBACH_ASSIGN_OR_RETURN(
      stage.buffer,
      FlatBuffer::Make({}, DType::kF32, 1, world.device().compute_stream(),
                       DivisionOf(world, zero)));
  EISBACH_ASSIGN_OR_RETURN(ReducerPtr reducer, MakeReducer(stage, world));
  for (int step = 0; step < 2; ++step) {
    EISBACH_RETURN_IF_ERROR(reducer->BeginStep(/*micro_batches=*/2));
    EISBACH_RETURN_IF_ERROR(reducer->Finish());
  }
  return absl::OkStatus();
}

}  // namespace eisbach::parallel
