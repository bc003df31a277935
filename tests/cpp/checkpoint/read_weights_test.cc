#include "checkpoint/read_weights.h"

#include <filesystem>
#include <map>

#include "absl/strings/str_replace.h"
#include "checkpoint/folder.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::read_weights_test {
namespace {

using test::Layout;
using test::SaveOn;
using test::StatusIs;

TEST(ReadWeightsTest, IsTheModelWhateverTheLayout) {
  for (const char* family : {"gpt", "llama"}) {
    for (const Layout& layout :
         {Layout{1, 1, 1}, Layout{2, 1, 2}, Layout{1, 2, 2}, Layout{1, 3, 1}}) {
      const test::TempFolder temp;
      const std::vector<LogicalTensor> want =
          SaveOn(layout, family, temp.path());
      EISBACH_ASSERT_OK_AND_ASSIGN(const SavedWeights got,
                                   ReadWeights(StepFolder(temp.path(), 1)));
      EXPECT_EQ(got.step, 1);
      EXPECT_EQ(got.config, test::kConfig);
      std::map<std::string, const LogicalTensor*> by_name;
      for (const LogicalTensor& tensor : got.tensors) {
        by_name[tensor.name] = &tensor;
      }
      ASSERT_EQ(by_name.size(), want.size());
      for (const LogicalTensor& tensor : want) {
        SCOPED_TRACE(tensor.name);
        ASSERT_EQ(by_name.count(tensor.name), 1);
        EXPECT_EQ(by_name[tensor.name]->shape, tensor.shape);
        EXPECT_EQ(by_name[tensor.name]->values, tensor.values);
      }
    }
  }
}

TEST(ReadWeightsTest, ErrorsNameTheFile) {
  const test::TempFolder temp;
  SaveOn({1, 2, 1}, "llama", temp.path());
  const std::string folder = StepFolder(temp.path(), 1);
  const std::string second = folder + "/pipeline-0-tensor-1-data-0.safetensors";
  const std::string bytes = test::ReadFile(second);
  std::string damaged = bytes;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  test::WriteFile(second, damaged);
  EXPECT_THAT(ReadWeights(folder).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, second));
  std::filesystem::remove(second);
  EXPECT_THAT(ReadWeights(folder).status(),
              StatusIs(absl::StatusCode::kNotFound, second));
  test::WriteFile(second, bytes);
  EISBACH_EXPECT_OK(ReadWeights(folder).status());
  test::WriteFile(folder + "/manifest.json", "{");
  EXPECT_THAT(ReadWeights(folder).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "manifest.json"));
  EXPECT_THAT(ReadWeights(temp.File("none")).status(),
              StatusIs(absl::StatusCode::kNotFound, "none"));
}

}  // namespace
}  // namespace eisbach::checkpoint::read_weights_test
