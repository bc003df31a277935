#include "core/mapped_file.h"

#include <gtest/gtest.h>

#include <utility>

#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach {
namespace {

using test::StatusIs;

TEST(MappedFileTest, HoldsTheBytes) {
  test::TempFolder folder;
  test::WriteFile(folder.File("x"), absl::string_view("ab\0cd\1\2\3\4", 9));
  EISBACH_ASSERT_OK_AND_ASSIGN(MappedFile file,
                               MappedFile::Open(folder.File("x")));
  EXPECT_EQ(file.size(), 9u);
  EXPECT_EQ(file.path(), folder.File("x"));
  EXPECT_EQ(file.Load<char>(1), 'b');
  EXPECT_EQ(file.Load<uint32_t>(5), 0x04030201u);  // at an odd offset

  const MappedFile moved = std::move(file);
  EXPECT_EQ(moved.Load<char>(4), 'd');
}

TEST(MappedFileTest, OutlivesTheName) {
  test::TempFolder folder;
  test::WriteFile(folder.File("x"), "old");
  EISBACH_ASSERT_OK_AND_ASSIGN(MappedFile file,
                               MappedFile::Open(folder.File("x")));
  std::filesystem::remove(folder.File("x"));
  test::WriteFile(folder.File("x"), "new");
  EXPECT_EQ(file.Load<char>(0), 'o');
}

TEST(MappedFileTest, EmptyFileIsFine) {
  test::TempFolder folder;
  test::WriteFile(folder.File("x"), "");
  EISBACH_ASSERT_OK_AND_ASSIGN(MappedFile file,
                               MappedFile::Open(folder.File("x")));
  EXPECT_EQ(file.size(), 0u);
}

TEST(MappedFileTest, SaysWhatIsWrong) {
  test::TempFolder folder;
  EXPECT_THAT(MappedFile::Open(folder.File("none")),
              StatusIs(absl::StatusCode::kNotFound, folder.File("none")));
  EXPECT_THAT(
      MappedFile::Open(folder.path()),
      StatusIs(absl::StatusCode::kInvalidArgument, "not a regular file"));
}

}  // namespace
}  // namespace eisbach
