#include "parallel/data/matrix_work.h"

#include "cpp/parallel/data/weights_testing.h"

namespace eisbach::parallel::matrix_work_test {
namespace {

using optim::MatrixTask;

// Tasks of the stage's parameters, by turns of the two ranks. `own` is what
// `value` says of each of its elements.
absl::StatusOr<std::vector<MatrixTask>> Tasks(
    Stage& stage, comm::World& world,
    const std::function<float(int parameter, int64_t element)>& value) {
  std::vector<MatrixTask> tasks;
  for (int i = 0; i < kParameters; ++i) {
    Parameter& parameter = stage[i];
    const ElementRange own = parameter.own();
    MatrixTask task{.parameter = &parameter, .worker = i % 2};
    if (own.elements > 0) {
      EISBACH_ASSIGN_OR_RETURN(
          task.own,
          Tensor::Empty(Shape{own.elements}, DType::kF32, world.device()));
    }
    for (int64_t e = 0; e < own.elements; ++e) {
      task.own.data<float>()[e] = value(i, own.begin + e);
    }
    if (!parameter.divided()) {
      task.whole = task.own;
    } else if (task.worker == world.rank()) {
      EISBACH_ASSIGN_OR_RETURN(
          task.whole, Tensor::Empty(Shape{parameter.spec().shape.elements()},
                                    DType::kF32, world.device()));
    }
    tasks.push_back(std::move(task));
  }
  return tasks;
}

float Numbered(int parameter, int64_t element) {
  return static_cast<float>(1000 * parameter + element);
}

TEST(MatrixWork, BringsPartsToTheirWorkersAndBack) {
  for (const int zero : {1, 3}) {
    OnTwoThatDivide(zero, [](Stage& stage, comm::World& world) -> absl::Status {
      Stream& stream = world.device().compute_stream();
      EISBACH_ASSIGN_OR_RETURN(
          auto alone, world.communicator().Split(world.rank(), 0, "alone"));
      MatrixWork work(world.communicator(), *alone);
      EXPECT_EQ(work.workers(), 2);
      EXPECT_EQ(work.worker(), world.rank());
      EXPECT_FALSE(work.has_parts());
      EISBACH_ASSIGN_OR_RETURN(const auto tasks, Tasks(stage, world, Numbered));
      EISBACH_RETURN_IF_ERROR(work.Gather(tasks, stream));
      for (int i = 0; i < kParameters; ++i) {
        if (tasks[i].worker != world.rank()) continue;
        for (int64_t e = 0; e < tasks[i].whole.elements(); ++e) {
          float& value = tasks[i].whole.data<float>()[e];
          EXPECT_EQ(value, Numbered(i, e));
          value = -value;
        }
      }
      EISBACH_RETURN_IF_ERROR(work.Return(tasks, stream));
      for (int i = 0; i < kParameters; ++i) {
        const ElementRange own = stage[i].own();
        for (int64_t e = 0; e < own.elements; ++e) {
          EXPECT_EQ(tasks[i].own.data<float>()[e], -Numbered(i, own.begin + e));
        }
      }
      // One there, one back.
      EXPECT_EQ(world.communicator().stats().calls, 2);
      return absl::OkStatus();
    });
  }
}

TEST(MatrixWork, TellsOthersOfWhatIsWhole) {
  OnTwoThatDivide(0, [](Stage& stage, comm::World& world) -> absl::Status {
    Stream& stream = world.device().compute_stream();
    MatrixWork work(world.communicator(), world.communicator());
    const int rank = world.rank();
    EISBACH_ASSIGN_OR_RETURN(const auto tasks,
                             Tasks(stage, world, [&](int i, int64_t e) {
                               return i % 2 == rank ? Numbered(i, e) : -1.0f;
                             }));
    EISBACH_RETURN_IF_ERROR(work.Gather(tasks, stream));
    EISBACH_RETURN_IF_ERROR(work.Return(tasks, stream));
    for (int i = 0; i < kParameters; ++i) {
      for (int64_t e = 0; e < tasks[i].own.elements(); ++e) {
        EXPECT_EQ(tasks[i].own.data<float>()[e], Numbered(i, e));
      }
    }
    return absl::OkStatus();
  });
}

TEST(MatrixWork, SumsParts) {
  OnTwoThatDivide(0, [](Stage&, comm::World& world) -> absl::Status {
    Stream& stream = world.device().compute_stream();
    MatrixWork work(world.communicator(), world.communicator());
    EXPECT_TRUE(work.has_parts());
    EISBACH_ASSIGN_OR_RETURN(Tensor matrix,
                             Tensor::Zeros(Shape{2, 3}, DType::kF32, stream));
    for (int j = 0; j < 3; ++j) {
      matrix.data<float>()[3 * world.rank() + j] = static_cast<float>(j + 1);
    }
    EISBACH_RETURN_IF_ERROR(work.SumOverParts(matrix, stream));
    EXPECT_THAT(test::ToDoubles(matrix),
                testing::ElementsAre(1, 2, 3, 1, 2, 3));
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace eisbach::parallel::matrix_work_test
