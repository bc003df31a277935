#include "tensor/host_values.h"

#include "support/op_testing.h"

namespace eisbach::host_values_test {
namespace {

TEST(HostValuesTest, RoundOnTheWayInAndAreExactOnTheWayOut) {
  const std::vector<float> values{0, 1, -2.5f, 1.00390625f, 3.3f};
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const Tensor tensor = test::Empty({5}, dtype);
    EISBACH_ASSERT_OK(WriteValues(values.data(), tensor, test::TheStream()));
    std::vector<float> back(5);
    EISBACH_ASSERT_OK(ReadValues(tensor, back.data(), test::TheStream()));
    const std::vector<double> held = test::ToDoubles(tensor);
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(back[i], held[i]);
      EXPECT_NEAR(back[i], values[i],
                  std::abs(values[i]) * test::Tolerance(dtype));
    }
  }
}

}  // namespace
}  // namespace eisbach::host_values_test
