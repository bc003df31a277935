#include "checkpoint/folder.h"

#include <filesystem>

#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::folder_test {
namespace {

using test::Value;

TEST(StepFolder, SortsByName) {
  EXPECT_EQ(StepFolder("run", 123), "run/step-00000123");
  EXPECT_EQ(StepFolder("run", 1234567890), "run/step-1234567890");
}

TEST(LatestCheckpoint, IsTheHighestFinishedStep) {
  const test::TempFolder temp;
  EXPECT_EQ(Value(LatestCheckpoint(temp.File("none"))), std::nullopt);
  EXPECT_EQ(Value(LatestCheckpoint(temp.path())), std::nullopt);
  for (const char* name :
       {"step-00000007", "step-00000200", "step-00000300.unfinished", "step-9",
        "step-0000040x", "other"}) {
    EISBACH_ASSERT_OK(MakeEmptyFolder(temp.File(name)));
  }
  test::WriteFile(temp.File("step-00000900"), "a file");
  EXPECT_EQ(Value(LatestCheckpoint(temp.path())), temp.File("step-00000200"));
  EISBACH_ASSERT_OK(MakeEmptyFolder(temp.File("step-100000000")));
  EXPECT_EQ(Value(LatestCheckpoint(temp.path())), temp.File("step-100000000"));
}

TEST(MakeEmptyFolder, RemovesWhatASaveLeft) {
  const test::TempFolder temp;
  const std::string path = temp.File("a/b");
  EISBACH_ASSERT_OK(MakeEmptyFolder(path));
  test::WriteFile(path + "/old", "x");
  EISBACH_ASSERT_OK(MakeEmptyFolder(path));
  EXPECT_TRUE(std::filesystem::is_empty(path));
  test::WriteFile(temp.File("file"), "x");
  EXPECT_FALSE(MakeEmptyFolder(temp.File("file/sub")).ok());
}

TEST(MakeEmptyFolder, MakesNoRunFolderAgain) {
  const test::TempFolder temp;
  EXPECT_THAT(MakeEmptyFolder(temp.File("moved/checkpoints/step")),
              test::StatusIs(absl::StatusCode::kNotFound, "moved/checkpoints"));
  EXPECT_FALSE(std::filesystem::exists(temp.File("moved")));
}

TEST(FinishFolder, NeverReplaces) {
  const test::TempFolder temp;
  EISBACH_ASSERT_OK(MakeEmptyFolder(temp.File("new")));
  EISBACH_ASSERT_OK(FinishFolder(temp.File("new"), temp.File("done")));
  EXPECT_TRUE(std::filesystem::exists(temp.File("done")));
  EXPECT_FALSE(std::filesystem::exists(temp.File("new")));
  EISBACH_ASSERT_OK(MakeEmptyFolder(temp.File("new")));
  EXPECT_THAT(FinishFolder(temp.File("new"), temp.File("done")),
              test::StatusIs(absl::StatusCode::kAlreadyExists, "done"));
  EXPECT_FALSE(FinishFolder(temp.File("none"), temp.File("x")).ok());
}

TEST(Folder, ANameBelongsToAStep) {
  test::TempFolder temp;
  const std::string path = StepFolder(temp.path(), 123);
  std::filesystem::create_directory(path);
  EISBACH_EXPECT_OK(CheckFolderName(path, 123));
  EISBACH_EXPECT_OK(CheckFolderName(path + "/", 123));
  EISBACH_EXPECT_OK(CheckFolderName(path + "/.", 123));
  EXPECT_THAT(CheckFolderName(path, 124),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "step-00000123 holds step 124: a folder of that "
                             "step is called step-00000124"));
  std::filesystem::create_directory_symlink(path, temp.File("best"));
  EISBACH_EXPECT_OK(CheckFolderName(temp.File("best"), 123));
  EXPECT_FALSE(CheckFolderName(temp.File("none"), 1).ok());
}

}  // namespace
}  // namespace eisbach::checkpoint::folder_test
