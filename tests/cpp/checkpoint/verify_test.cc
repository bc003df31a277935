#include "checkpoint/verify.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>

#include "checkpoint/folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/read_manifest.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/saved_slice.h"
#include "core/content_hash.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::verify_test {
namespace {

using test::StatusIs;
using test::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A checkpoint of one tensor "w" of 4 x 6 and its state m, made by hand: two
// tensor ranks, the first with the columns below `cut`, the second with those
// from `begin` on.
class VerifyTest : public ::testing::Test {
 protected:
  std::string Make(int64_t cut = 3, int64_t begin = 3,
                   std::vector<std::string> states = {"m"},
                   float special = 1.0f) {
    const std::string root = temp_.File(absl::StrCat("run", ++count_));
    std::filesystem::create_directory(root);
    const std::string folder = StepFolder(root, 7);
    std::filesystem::create_directory(folder);
    Manifest manifest{.step = 7,
                      .layout = {{1, 1, 1, 2}},
                      .optimizer_state = std::move(states),
                      .config = "{}",
                      .state = "{}",
                      .files = {}};
    manifest.layout[Axis::kTensor] = 2;
    for (int rank = 0; rank < 2; ++rank) {
      const Box box =
          rank == 0 ? Box{{0, 0}, {4, cut}} : Box{{0, begin}, {4, 6 - begin}};
      ManifestFile file{.name = absl::StrCat("rank-", rank),
                        .pipeline = 0,
                        .tensor = rank,
                        .data = 0};
      const std::string path = absl::StrCat(folder, "/", file.name);
      Write(path, box, rank == 1 ? special : 1.0f);
      const std::string bytes = test::ReadFile(path);
      file.bytes = bytes.size();
      file.hash = ContentHash(bytes);
      manifest.files.push_back(file);
    }
    test::WriteFile(folder + "/manifest.json", Value(FormatManifest(manifest)));
    return folder;
  }

  static std::vector<std::string> FaultsOf(const std::string& folder) {
    return Value(Verify(folder,
                        [](uint64_t, uint64_t) { return absl::OkStatus(); }))
        .faults;
  }

 private:
  static void Write(const std::string& path, const Box& box, float special) {
    std::vector<SavedSlice> slices;
    std::vector<SafetensorsSpec> specs;
    for (const char* part : {"", "m"}) {
      slices.push_back({part, "w", Shape{4, 6}, box});
      specs.push_back({slices.back().Key(), DType::kF32, box.extent});
    }
    auto writer = Value(SafetensorsWriter::Create(
        path, specs, {{kSlicesKey, FormatSlices(slices)}}));
    std::vector<float> values(box.elements(), 1.0f);
    values[2] = special;
    for (const SafetensorsEntry& entry : writer->entries()) {
      EISBACH_EXPECT_OK(writer->Write(entry.name, values.data(),
                                      values.size() * sizeof(float)));
    }
    EISBACH_EXPECT_OK(writer->Commit());
  }

  const test::TempFolder temp_;
  int count_ = 0;
};

TEST_F(VerifyTest, ASoundOneHasNoFaults) {
  const std::string folder = Make();
  std::vector<uint64_t> seen;
  EISBACH_ASSERT_OK_AND_ASSIGN(
      const Verification found,
      Verify(folder, [&](uint64_t done, uint64_t total) {
        seen.push_back(done);
        seen.push_back(total);
        return absl::OkStatus();
      }));
  EXPECT_THAT(found.faults, IsEmpty());
  EXPECT_EQ(found.files, 2);
  EXPECT_EQ(found.tensors, 2);
  const uint64_t first = std::filesystem::file_size(folder + "/rank-0");
  EXPECT_THAT(seen, ElementsAre(first, found.bytes, found.bytes, found.bytes));
  EXPECT_THAT(
      Verify(folder,
             [](uint64_t, uint64_t) { return absl::CancelledError("enough"); })
          .status(),
      StatusIs(absl::StatusCode::kCancelled, "enough"));
}

TEST_F(VerifyTest, EveryByteCounts) {
  const std::string folder = Make();
  for (const char* name : {"rank-0", "rank-1", "manifest.json"}) {
    const std::string path = absl::StrCat(folder, "/", name);
    const std::string bytes = test::ReadFile(path);
    for (size_t at :
         {size_t{0}, size_t{9}, bytes.size() / 2, bytes.size() - 3}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ 1);
      test::WriteFile(path, damaged);
      const std::vector<std::string> faults = FaultsOf(folder);
      ASSERT_FALSE(faults.empty()) << path << " byte " << at;
      EXPECT_THAT(faults[0], HasSubstr(name));
    }
    test::WriteFile(path, bytes.substr(0, bytes.size() - 2));
    EXPECT_FALSE(FaultsOf(folder).empty());
    test::WriteFile(path, bytes);
  }
  EXPECT_THAT(FaultsOf(folder), IsEmpty());
}

TEST_F(VerifyTest, NamesTheTensorOfADamage) {
  const std::string folder = Make();
  const std::string path = folder + "/rank-1";
  std::string bytes = test::ReadFile(path);
  const float infinite = INFINITY;
  std::memcpy(bytes.data() + bytes.size() - 4, &infinite, 4);
  test::WriteFile(path, bytes);
  EXPECT_THAT(FaultsOf(folder),
              ElementsAre(HasSubstr("rank-1 is damaged: its xxh64 is"),
                          HasSubstr("tensor \"w@0,3\" is not finite: element "
                                    "11 of 12")));
  // All faults, not the first alone.
  std::filesystem::remove(folder + "/rank-0");
  EXPECT_THAT(FaultsOf(folder), testing::SizeIs(testing::Ge(3)));
}

TEST_F(VerifyTest, WeightsThatWereWrittenWrongAreFaultsToo) {
  EXPECT_THAT(FaultsOf(Make(3, 3, {"m"}, NAN)),
              ElementsAre(HasSubstr("rank-1: tensor \"optimizer.m/w@0,3\" is "
                                    "not finite")));
  EXPECT_THAT(
      FaultsOf(Make(2, 3)),
      ElementsAre(HasSubstr("no file has 4 of the 24 elements of \"w\""),
                  HasSubstr("elements of \"optimizer.m/w\"")));
  EXPECT_THAT(FaultsOf(Make(4, 3)),
              ElementsAre(HasSubstr("\"w\": [0, 4) x [3, 4) is there twice"),
                          HasSubstr("\"optimizer.m/w\": [0, 4) x [3, 4)")));
  EXPECT_THAT(FaultsOf(Make(3, 3, {"v"})),
              ElementsAre(HasSubstr("\"optimizer.m/w\" is of a state that")));
}

TEST_F(VerifyTest, NamesOfFoldersAndFiles) {
  std::string folder = Make();
  test::WriteFile(folder + "/pytorch_model.bin", "");
  EXPECT_THAT(FaultsOf(folder),
              ElementsAre(HasSubstr("/pytorch_model.bin is not listed")));
  const std::string other =
      StepFolder(std::filesystem::path(folder).parent_path().string(), 8);
  std::filesystem::rename(folder, other);
  EXPECT_THAT(FaultsOf(other), ElementsAre(HasSubstr("step-00000008 holds")));
  EXPECT_THAT(FaultsOf("/none"), ElementsAre(HasSubstr("/none/manifest.json")));
}

}  // namespace
}  // namespace eisbach::checkpoint::verify_test
