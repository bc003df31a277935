#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "support/cuda/window.h"

// Kernels on operands so long that an index into them needs more than 32 bits,
// on a machine without such memory: addresses are reserved, and only what a
// grid's first and last blocks work on is touched.
namespace eisbach::test {

// The double of CUDA refuses the default one.
inline cudaStream_t TheStream() {
  static const cudaStream_t stream = [] {
    cudaStream_t made = nullptr;
    EXPECT_EQ(cudaStreamCreateWithPriority(&made, cudaStreamNonBlocking, 0),
              cudaSuccess);
    return made;
  }();
  return stream;
}

enum class Fill : uint8_t {
  kF32,    // in [0.5, 1.5)
  kBF16,   // the same
  kF64,    // the same
  kIndex,  // i32: the number of the unit
  kSmall,  // i32 in [0, 32)
  kI64,    // the number of the unit
};

inline int64_t BytesOf(Fill fill) {
  if (fill == Fill::kBF16) return 2;
  return fill == Fill::kI64 || fill == Fill::kF64 ? 8 : 4;
}

// `planes` parts one behind the other, each of so many units (rows, elements)
// as the case has.
struct WideOperand {
  Fill fill;
  int64_t elements = 1;  // of a unit
  int64_t planes = 1;

  int64_t unit_bytes() const { return elements * BytesOf(fill); }
};

// One launch over `count` units of which the first is number `first`.
struct WideCase {
  std::string name;
  std::vector<std::string> kernels;
  int64_t units;
  int64_t few;  // units at an end that are compared
  std::vector<WideOperand> operands;
  std::function<cudaError_t(char* const* p, int64_t first, int64_t count)>
      launch;
  uint64_t blocks = 4;   // of each end of the grid
  int64_t compared = 0;  // bytes of a plane's outermost end; 0: `few` units
};

// Addresses between others that may not be touched.
class WideRange {
 public:
  explicit WideRange(int64_t bytes) : bytes_((bytes + 8191) / 4096 * 4096) {
    whole_ = mmap(nullptr, bytes_ + 2 * kAround, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    data_ = static_cast<char*>(whole_) + kAround;
    if (whole_ == MAP_FAILED ||
        mprotect(data_, bytes_, PROT_READ | PROT_WRITE) != 0) {
      ADD_FAILURE() << "no room for " << bytes_ << " bytes of addresses";
      std::abort();
    }
    madvise(data_, bytes_, MADV_NOHUGEPAGE);
  }
  ~WideRange() { munmap(whole_, bytes_ + 2 * kAround); }
  WideRange(const WideRange&) = delete;
  WideRange& operator=(const WideRange&) = delete;

  char* data() const { return data_; }
  int64_t touched() const {
    constexpr int64_t kStep = int64_t{1} << 32;
    std::vector<unsigned char> pages(kStep / 4096);
    int64_t sum = 0;
    for (int64_t at = 0; at < bytes_; at += kStep) {
      const int64_t step = std::min(kStep, bytes_ - at);
      EXPECT_EQ(mincore(data_ + at, step, pages.data()), 0);
      for (int64_t i = 0; i < step / 4096; ++i) sum += (pages[i] & 1) * 4096;
    }
    return sum;
  }

 private:
  static constexpr int64_t kAround = int64_t{1} << 36;
  int64_t bytes_;
  void* whole_;
  char* data_;
};

inline void FillUnit(const WideOperand& o, int64_t plane, int64_t unit,
                     char* p) {
  for (int64_t i = 0; i < o.elements; ++i, p += BytesOf(o.fill)) {
    const auto hash = static_cast<uint32_t>(
        ((unit * 31 + plane) * 1009 + i) * 2654435761u >> 7);
    const float value = 0.5f + static_cast<float>(hash % 251) / 251;
    const auto put = [p](auto v) { std::memcpy(p, &v, sizeof(v)); };
    switch (o.fill) {
      case Fill::kF32:
        put(value);
        break;
      case Fill::kBF16:
        put(BFloat16(value));
        break;
      case Fill::kF64:
        put(double{value});
        break;
      case Fill::kIndex:
        put(static_cast<int32_t>(unit));
        break;
      case Fill::kSmall:
        put(static_cast<int32_t>(hash % 32));
        break;
      case Fill::kI64:
        put(unit);
        break;
    }
  }
}

// A case's operands of `units` units, `offset` elements past a boundary.
class WideOperands {
 public:
  WideOperands(const WideCase& c, int64_t units, int64_t offset)
      : case_(c), units_(units) {
    for (const WideOperand& o : c.operands) {
      ranges_.push_back(std::make_unique<WideRange>(
          o.planes * units * o.unit_bytes() + offset * BytesOf(o.fill)));
      pointers_.push_back(ranges_.back()->data() + offset * BytesOf(o.fill));
    }
  }
  // Gives the `few` units from `at` on the values of those from `number` on.
  void Set(int64_t at, int64_t number) {
    for (size_t i = 0; i < case_.operands.size(); ++i) {
      const WideOperand& o = case_.operands[i];
      for (int64_t plane = 0; plane < o.planes; ++plane) {
        for (int64_t u = 0; u < case_.few; ++u) {
          FillUnit(o, plane, number + u, At(i, plane, at + u));
        }
      }
    }
  }
  char* At(size_t operand, int64_t plane, int64_t unit) const {
    return pointers_[operand] +
           (plane * units_ + unit) * case_.operands[operand].unit_bytes();
  }
  void Launch(int64_t first) const {
    EXPECT_EQ(case_.launch(pointers_.data(), first, units_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(TheStream()), cudaSuccess);
  }
  int64_t touched() const {
    int64_t sum = 0;
    for (const auto& range : ranges_) sum += range->touched();
    return sum;
  }

 private:
  const WideCase& case_;
  int64_t units_;
  std::vector<std::unique_ptr<WideRange>> ranges_;
  std::vector<char*> pointers_;
};

// Launches over all units with the blocks at the grid's ends, and over each end
// as operands of their own: both must give the same bytes, and little else may
// have been touched.
inline void ExpectSameAtBothEnds(const WideCase& c, int64_t offset) {
  SCOPED_TRACE(testing::Message() << offset << " elements past a boundary");
  constexpr int64_t kMostTouched = int64_t{300} << 20;
  const int64_t tail = c.units - c.few;
  WideOperands all(c, c.units, offset);
  all.Set(0, 0);
  all.Set(tail, tail);
  const emulation::OnlyEnds ends(c.blocks);
  all.Launch(0);
  EXPECT_LT(all.touched(), kMostTouched);
  for (int64_t first : {int64_t{0}, tail}) {
    WideOperands apart(c, c.few, offset);
    apart.Set(0, first);
    apart.Launch(first);
    for (size_t i = 0; i < c.operands.size(); ++i) {
      const WideOperand& o = c.operands[i];
      const int64_t size = c.few * o.unit_bytes();
      const int64_t bytes = c.compared == 0 ? size : c.compared;
      const int64_t skipped = first == 0 ? 0 : size - bytes;
      for (int64_t plane = 0; plane < o.planes; ++plane) {
        EXPECT_EQ(std::memcmp(all.At(i, plane, first) + skipped,
                              apart.At(i, plane, 0) + skipped, bytes),
                  0)
            << "operand " << i << ", plane " << plane << ", unit " << first;
      }
    }
  }
}

}  // namespace eisbach::test
