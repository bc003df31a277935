#include "checkpoint/piece.h"

#include <map>
#include <string>

#include "support/status_testing.h"

namespace eisbach::checkpoint::piece_test {
namespace {

using test::Value;

LogicalSlice Slice(std::string name, const Shape& shape, const Shape& start,
                   const Shape& extent, int64_t local_row, bool primary) {
  return {.name = std::move(name),
          .shape = shape,
          .start = start,
          .extent = extent,
          .local_row = local_row,
          .primary = primary};
}

class PieceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    device_ = Value(MakeDevice(DeviceType::kCpu));
    matrix_.shape = Shape{5, 3};
    // Two rows of one tensor, none of another, two of a third.
    matrix_.slices = {
        Slice("a", Shape{4, 3}, Shape{2, 0}, Shape{2, 3}, 0, true),
        Slice("empty", Shape{4, 3}, Shape{4, 0}, Shape{0, 3}, 2, true),
        Slice("replica", Shape{1, 3}, Shape{0, 0}, Shape{1, 3}, 2, false),
        Slice("b", Shape{2, 3}, Shape{0, 0}, Shape{2, 3}, 3, true)};
    vector_.shape = Shape{7};
    vector_.slices = {Slice("c", Shape{7}, Shape{0}, Shape{7}, 0, true)};
    Add("", matrix_, 15);
    Add("m", matrix_, 15);
    Add("", vector_, 7);
  }

  // Of values that tell where they are.
  void Add(const std::string& part, const ParamSpec& spec, int64_t elements) {
    Tensor local = Value(Tensor::Empty(Shape{elements}, DType::kF32, *device_));
    for (int64_t i = 0; i < elements; ++i) {
      local.data<float>()[i] = static_cast<float>(100 * stored_.size() + i);
    }
    stored_.push_back({part, &spec, local, {0, elements}, /*divided=*/false});
  }

  std::shared_ptr<Device> device_;
  ParamSpec matrix_, vector_;
  std::vector<StoredTensor> stored_;
};

TEST_F(PieceTest, SharesHaveEveryElementOnce) {
  for (int shares : {1, 2, 3, 5, 31, 40}) {
    SCOPED_TRACE(shares);
    std::map<std::string, Coverage> covered;
    std::map<std::string, std::vector<float>> values;
    int64_t elements = 0;
    for (int share = 0; share < shares; ++share) {
      const std::vector<Piece> pieces = Value(PiecesOf(stored_, share, shares));
      int64_t mine = 0;
      for (const Piece& piece : pieces) {
        const SavedSlice& saved = piece.saved;
        const std::string key = saved.part + "/" + saved.name;
        const Box whole = WholeBox(saved.shape);
        Coverage& coverage = covered.emplace(key, whole).first->second;
        EISBACH_EXPECT_OK(coverage.Add(saved.box)) << saved.Key();
        auto& all = values[key];
        all.resize(whole.elements(), -1);
        CopyBox(saved.box, saved.box, piece.view.raw(), whole, all.data());
        ASSERT_EQ(piece.view.elements(), saved.box.elements());
        mine += piece.view.elements();
      }
      EXPECT_EQ(BytesInFile(pieces), 4 * mine);
      EXPECT_LE(mine, 31 / shares + 3);
      elements += mine;
    }
    EXPECT_EQ(elements, 31);
    EXPECT_EQ(covered.size(), 5);
    EXPECT_EQ(values["/a"], (std::vector<float>{-1, -1, -1, -1, -1, -1,  //
                                                0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(values["/b"], (std::vector<float>{9, 10, 11, 12, 13, 14}));
    EXPECT_EQ(values["m/b"],
              (std::vector<float>{109, 110, 111, 112, 113, 114}));
    EXPECT_EQ(values["/c"],
              (std::vector<float>{200, 201, 202, 203, 204, 205, 206}));
  }
}

TEST(Shares, AreNotSmall) {
  EXPECT_EQ(SharesOf(100, 8, 50), 2);
  EXPECT_EQ(SharesOf(99, 8, 50), 1);
  EXPECT_EQ(SharesOf(0, 8, 50), 1);
  EXPECT_EQ(SharesOf(int64_t{1} << 50, 8, 50), 8);
  EXPECT_EQ(SharesOf(1, 8, 0), 8);
}

}  // namespace
}  // namespace eisbach::checkpoint::piece_test
