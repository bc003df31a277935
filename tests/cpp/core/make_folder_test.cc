#include "core/make_folder.h"

#include <sys/stat.h>

#include <filesystem>

#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::make_folder_test {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

TEST(MakeFolder, IsForUserAndGroup) {
  const test::TempFolder temp;
  const mode_t before = umask(0);
  EISBACH_EXPECT_OK(MakeFolders(temp.File("a/b/c/")));
  EISBACH_EXPECT_OK(MakeFolder(temp.File("d")));
  umask(before);
  for (const char* name : {"a", "a/b", "a/b/c", "d"}) {
    EXPECT_EQ(ModeOf(temp.File(name)), mode_t{0750}) << name;
  }
}

TEST(MakeFolder, LeavesWhatIsThere) {
  const test::TempFolder temp;
  std::filesystem::create_directory(temp.File("a"));
  const mode_t before = ModeOf(temp.File("a"));
  EISBACH_EXPECT_OK(MakeFolder(temp.File("a")));
  EISBACH_EXPECT_OK(MakeFolders(temp.File("a")));
  EXPECT_EQ(ModeOf(temp.File("a")), before);
}

TEST(MakeFolder, NamesTheFolder) {
  const test::TempFolder temp;
  test::WriteFile(temp.File("file"), "x");
  EXPECT_THAT(MakeFolder(temp.File("none/a")),
              test::StatusIs(absl::StatusCode::kNotFound, temp.File("none/a")));
  EXPECT_FALSE(std::filesystem::exists(temp.File("none")));
  EXPECT_THAT(MakeFolder(temp.File("file")),
              test::StatusIs(absl::StatusCode::kAlreadyExists, "file"));
  EXPECT_THAT(MakeFolders(temp.File("file/a/b")),
              test::StatusIs(absl::StatusCode::kAlreadyExists, "file"));
}

}  // namespace
}  // namespace eisbach::make_folder_test
