#pragma once

#include <algorithm>
#include <type_traits>

#include "ops/cuda/reduce.cuh"
#include "ops/cuda/vector.cuh"

// Rows that a group of threads reads once and keeps in registers, as they lie
// in memory, while it reduces over them.
//
// A block is groups of blockDim.x threads, a multiple of 32, each with a row of
// its own, number threadIdx.y. A row is pieces of kWide elements: 16 bytes, or
// single elements where rows are not aligned. The thread has the pieces
// threadIdx.x + p * blockDim.x for p < kPieces; with kPieces = 0 it has as many
// as there are and reads them from memory each time, which is for rows that no
// block can hold.
namespace eisbach::cuda {

// The first element of row r; see Rows in ops/rows.h.
__device__ __forceinline__ long long RowStart(long long r, long long width,
                                              long long inner,
                                              long long stride) {
  if (inner == 1) return r * stride;
  return r / inner * stride + r % inner * width;
}

// kWide elements as they lie in memory.
template <typename T, int kWide>
struct Piece {
  using Word = std::conditional_t<kWide == 1, T, uint4>;
  static_assert(sizeof(Word) == kWide * sizeof(T));
  Word word;
};

template <typename T, int kWide>
__device__ __forceinline__ Piece<T, kWide> LoadPiece(const T* p) {
  using Word = typename Piece<T, kWide>::Word;
  return {AsWord<const Word>(p)};
}

template <typename T, int kWide>
__device__ __forceinline__ void StorePiece(T* p, const Piece<T, kWide>& x) {
  using Word = typename Piece<T, kWide>::Word;
  AsWord<Word>(p) = x.word;
}

template <typename T, int kWide>
__device__ __forceinline__ Values<kWide> Unpack(const Piece<T, kWide>& x) {
  T values[kWide];
  memcpy(static_cast<void*>(values), &x.word, sizeof(x.word));
  Values<kWide> result;
#pragma unroll
  for (int j = 0; j < kWide; ++j) result.v[j] = ToFloat(values[j]);
  return result;
}

template <typename T, int kWide>
__device__ __forceinline__ Piece<T, kWide> Pack(const Values<kWide>& x) {
  T values[kWide];
#pragma unroll
  for (int j = 0; j < kWide; ++j) values[j] = FromFloat<T>(x.v[j]);
  Piece<T, kWide> result;
  memcpy(static_cast<void*>(&result.word), values, sizeof(result.word));
  return result;
}

// f32 beside a piece, in 16 bytes at a time where kWide allows.
template <int kWide>
__device__ __forceinline__ Values<kWide> LoadValues(const float* p) {
  Values<kWide> x;
  if constexpr (kWide % 4 == 0) {
#pragma unroll
    for (int j = 0; j < kWide; j += 4) {
      const float4 four = AsWord<const float4>(p + j);
      x.v[j] = four.x;
      x.v[j + 1] = four.y;
      x.v[j + 2] = four.z;
      x.v[j + 3] = four.w;
    }
  } else {
#pragma unroll
    for (int j = 0; j < kWide; ++j) x.v[j] = p[j];
  }
  return x;
}

template <int kWide>
__device__ __forceinline__ void StoreValues(float* p, const Values<kWide>& x) {
  if constexpr (kWide % 4 == 0) {
#pragma unroll
    for (int j = 0; j < kWide; j += 4) {
      AsWord<float4>(p + j) =
          make_float4(x.v[j], x.v[j + 1], x.v[j + 2], x.v[j + 3]);
    }
  } else {
#pragma unroll
    for (int j = 0; j < kWide; ++j) p[j] = x.v[j];
  }
}

// Calls f(p, i) for each of the thread's pieces of a row of `count`: its number
// among them and in the row.
template <int kPieces, typename F>
__device__ __forceinline__ void ForEachPiece(int count, F&& f) {
  if constexpr (kPieces > 0) {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
      const int i = static_cast<int>(threadIdx.x + p * blockDim.x);
      if (i < count) f(p, i);
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < count;
         i += static_cast<int>(blockDim.x)) {
      f(0, i);
    }
  }
}

// The thread's pieces of a row of `count`.
template <typename T, int kWide, int kPieces>
class Row {
 public:
  __device__ __forceinline__ Row(const T* row, int count) {
    ForEachPiece<kPieces>(count, [&](int p, int i) {
      piece_[p] = LoadPiece<T, kWide>(row + i * kWide);
    });
  }
  __device__ __forceinline__ Values<kWide> Get(int p, int) const {
    return Unpack<T, kWide>(piece_[p]);
  }
  // Replaces a piece, which is also stored where MoveTo then says: a row that
  // is not held is read from there.
  __device__ __forceinline__ void Set(int p, const Piece<T, kWide>& piece) {
    piece_[p] = piece;
  }
  __device__ __forceinline__ void MoveTo(const T*) {}

 private:
  Piece<T, kWide> piece_[kPieces];
};

template <typename T, int kWide>
class Row<T, kWide, 0> {
 public:
  __device__ __forceinline__ Row(const T* row, int) : row_(row) {}
  __device__ __forceinline__ Values<kWide> Get(int, int i) const {
    return Unpack<T, kWide>(LoadPiece<T, kWide>(row_ + i * kWide));
  }
  __device__ __forceinline__ void Set(int, const Piece<T, kWide>&) {}
  __device__ __forceinline__ void MoveTo(const T* row) { row_ = row; }

 private:
  const T* row_;
};

// Reduces each of v over the threads of a group; the results in all of them.
// Every thread of the block comes here.
template <typename Op, int kN>
__device__ __forceinline__ void GroupReduce(float (&v)[kN]) {
#pragma unroll
  for (int n = 0; n < kN; ++n) v[n] = WarpReduce<Op>(v[n]);
  const unsigned warps = blockDim.x / 32;
  if (warps == 1) return;
  EISBACH_SHARED(float, partial, [kN][32]);
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const unsigned first = threadIdx.y * warps;
  __syncthreads();  // those who read an earlier call's partial are done
  if (lane == 0) {
#pragma unroll
    for (int n = 0; n < kN; ++n) partial[n][first + warp] = v[n];
  }
  __syncthreads();
#pragma unroll
  for (int n = 0; n < kN; ++n) {
    v[n] =
        WarpReduce<Op>(lane < warps ? partial[n][first + lane] : Op::kIdentity);
  }
}

// How rows are given to threads; the types tell f which kernel to start.
template <int kWideOf, int kPiecesOf>
struct RowLayout {
  static constexpr int kWide = kWideOf;
  static constexpr int kPieces = kPiecesOf;
  int count;  // pieces in a row

  // Blocks of about `wanted` threads, of whole groups.
  dim3 Block(int wanted, int max_threads) const {
    int threads = max_threads;
    if (kPieces > 0) {
      const int needed = (count + kPieces - 1) / std::max(kPieces, 1);
      threads = std::max(32, (needed + 31) / 32 * 32);
    }
    return dim3(threads, std::max(1, wanted / threads));
  }
};

// Calls f with the layout of rows of `width` elements: few pieces a thread
// while a warp is enough, then four of 16 bytes or eight elements, which makes
// blocks of up to max_threads.
template <typename T, typename F>
cudaError_t DispatchRow(long long width, bool vectorised, int max_threads,
                        F&& f) {
  constexpr int kWide = kPerVector<T>;
  const int count = static_cast<int>(vectorised ? width / kWide : width);
  if (vectorised) {
    if (count <= 32) return f(RowLayout<kWide, 1>{count});
    if (count <= 64) return f(RowLayout<kWide, 2>{count});
    if (count <= 4 * max_threads) return f(RowLayout<kWide, 4>{count});
    return f(RowLayout<kWide, 0>{count});
  }
  if (count <= 128) return f(RowLayout<1, 4>{count});
  if (count <= 8 * max_threads) return f(RowLayout<1, 8>{count});
  return f(RowLayout<1, 0>{count});
}

}  // namespace eisbach::cuda
