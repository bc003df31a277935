#include "checkpoint/contents.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "checkpoint/folder.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::contents_test {
namespace {

using test::Layout;
using test::SaveOn;
using test::StatusIs;

std::map<std::string, LogicalTensor> ByName(
    std::vector<LogicalTensor> tensors) {
  std::map<std::string, LogicalTensor> found;
  for (LogicalTensor& tensor : tensors) {
    found[tensor.name] = std::move(tensor);
  }
  return found;
}

std::vector<float> ValuesOf(const SavedTensor& tensor) {
  std::vector<float> values(tensor.shape.elements());
  CopyWhole(tensor, values.data());
  return values;
}

// In memory, in boxes of `width` columns.
SavedTensor Divided(const std::vector<float>& values, const Shape& shape,
                    int64_t width, std::vector<std::vector<float>>& memory) {
  SavedTensor tensor{"", "w", shape, {}, absl::OkStatus()};
  for (int64_t begin = 0; begin < shape[1]; begin += width) {
    const int64_t columns = std::min(width, shape[1] - begin);
    const Box box{{0, begin}, {shape[0], columns}};
    std::vector<float> part(box.elements());
    CopyBox(box, WholeBox(shape), values.data(), box, part.data());
    memory.push_back(std::move(part));
    tensor.boxes.push_back({box, std::as_bytes(std::span(memory.back()))});
  }
  return tensor;
}

TEST(ContentsTest, AreTheSameWhateverTheLayout) {
  const test::TempFolder temp;
  const auto want = ByName(SaveOn({1, 1, 1}, "llama", temp.path()));
  EISBACH_ASSERT_OK_AND_ASSIGN(const Contents one,
                               Contents::Open(StepFolder(temp.path(), 1)));
  EXPECT_EQ(one.manifest().step, 1);
  EXPECT_EQ(one.tensors().size(), 3 * want.size());  // and m and v
  std::map<std::string, const SavedTensor*> by_key;
  for (const SavedTensor& tensor : one.tensors()) {
    EISBACH_EXPECT_OK(tensor.whole);
    by_key[tensor.Key()] = &tensor;
    if (!tensor.part.empty()) continue;
    EXPECT_EQ(tensor.shape, want.at(tensor.name).shape);
    EXPECT_EQ(ValuesOf(tensor), want.at(tensor.name).values);
  }
  ASSERT_EQ(by_key.count("optimizer.v/blocks.0.norm1.weight"), 1);
  for (const Layout& layout : {Layout{2, 2, 2}, Layout{1, 3, 1}}) {
    const test::TempFolder other;
    SaveOn(layout, "llama", other.path());
    EISBACH_ASSERT_OK_AND_ASSIGN(const Contents many,
                                 Contents::Open(StepFolder(other.path(), 1)));
    ASSERT_EQ(many.tensors().size(), one.tensors().size());
    bool divided = false;
    for (const SavedTensor& tensor : many.tensors()) {
      SCOPED_TRACE(tensor.Key());
      EISBACH_ASSERT_OK(tensor.whole);
      divided |= tensor.boxes.size() > 1;
      // One step of another layout is the same to rounding.
      ASSERT_EQ(by_key.count(tensor.Key()), 1);
      const TensorDifference difference =
          Difference(*by_key[tensor.Key()], tensor);
      EXPECT_LT(difference.absolute, 2e-3);
      int64_t differ = 0;
      const std::vector<float> a = ValuesOf(*by_key[tensor.Key()]);
      const std::vector<float> b = ValuesOf(tensor);
      for (size_t i = 0; i < a.size(); ++i) {
        differ += std::memcmp(&a[i], &b[i], sizeof(float)) != 0;
      }
      EXPECT_EQ(difference.elements, differ);
    }
    EXPECT_TRUE(divided);
  }
}

TEST(ContentsTest, DifferenceIsOfValuesNotOfBoxes) {
  const Shape shape{3, 7};
  std::vector<float> values(shape.elements());
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1.0f + i;
  std::vector<float> changed = values;
  changed[9] = 10.5f;    // of 10
  changed[20] = 21.25f;  // of 21
  std::vector<std::vector<float>> memory;
  memory.reserve(99);  // its vectors stay where they are
  const SavedTensor a = Divided(values, shape, 3, memory);
  EXPECT_EQ(Difference(a, Divided(values, shape, 5, memory)).elements, 0);
  const TensorDifference difference =
      Difference(a, Divided(changed, shape, 2, memory));
  EXPECT_EQ(difference.elements, 2);
  EXPECT_EQ(difference.absolute, 0.5);
  EXPECT_DOUBLE_EQ(difference.relative, 0.5 / 10.5);
}

TEST(ContentsTest, DifferenceOfSpecialValues) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<std::vector<float>> memory;
  memory.reserve(9);
  const auto tensor = [&](float value) {
    return Divided({value}, Shape{1, 1}, 1, memory);
  };
  const TensorDifference zeros = Difference(tensor(0.0f), tensor(-0.0f));
  EXPECT_EQ(zeros.elements, 1);
  EXPECT_EQ(zeros.absolute, 0);
  EXPECT_EQ(zeros.relative, 0);
  EXPECT_EQ(Difference(tensor(NAN), tensor(NAN)).elements, 0);
  EXPECT_EQ(Difference(tensor(NAN), tensor(1)).absolute, kInfinity);
  EXPECT_EQ(Difference(tensor(1), tensor(kInfinity)).relative, kInfinity);
}

TEST(ContentsTest, ErrorsNameTheFile) {
  const test::TempFolder temp;
  SaveOn({1, 2, 1}, "gpt", temp.path());
  const std::string folder = StepFolder(temp.path(), 1);
  EISBACH_ASSERT_OK_AND_ASSIGN(const Contents contents, Contents::Open(folder));
  const std::string path = folder + "/" + contents.manifest().files[1].name;
  test::WriteFile(path, "no");
  EXPECT_THAT(Contents::Open(folder).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, path));
  EXPECT_THAT(Contents::Open(temp.File("none")).status(),
              StatusIs(absl::StatusCode::kNotFound, "none"));
}

}  // namespace
}  // namespace eisbach::checkpoint::contents_test
