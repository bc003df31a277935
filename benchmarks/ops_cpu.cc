// Times the CPU ops whose speed decides a training step, on the threads that
// OMP_NUM_THREADS gives:
//
//   OMP_NUM_THREADS=1 build/benchmarks/ops_cpu [attention|matmul|rope]
//
// Prints GFLOP/s from the op's own cost (attention: causal pairs only), of the
// best of several repetitions: by the clock, and by the seconds that cores
// spent on it, which other work on the machine disturbs less.

#include <omp.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "ops/attention.h"
#include "ops/matmul.h"
#include "ops/rope.h"
#include "ops_support.h"

namespace eisbach {
namespace {

class Flops final : public Recorder {
 public:
  void OnOp(absl::string_view, const OpCost& cost, const Stream&) override {
    total += cost.flops;
  }
  void OnCollective(absl::string_view, absl::string_view, const CollectiveCost&,
                    const Stream&) override {}
  double total = 0;
};

double CpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// The best of at least 5 calls and 0.4 s.
template <typename F>
void Report(const std::string& name, F&& f) {
  using Clock = std::chrono::steady_clock;
  Flops flops;
  f();
  TheDevice().set_recorder(&flops);
  f();
  TheDevice().set_recorder(nullptr);
  double best = 1e30, best_cpu = 1e30, total = 0;
  for (int i = 0; i < 5 || total < 0.4; ++i) {
    const double cpu_start = CpuSeconds();
    const auto start = Clock::now();
    f();
    const double seconds =
        std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    best_cpu = std::min(best_cpu, CpuSeconds() - cpu_start);
    total += seconds;
  }
  std::printf("%-44s %9.3f ms %8.1f GFLOP/s %8.1f a core\n", name.c_str(),
              best * 1e3, flops.total / best * 1e-9,
              flops.total / best_cpu * 1e-9);
}

void Attention(DType dtype, int64_t length, int64_t dim, int64_t heads_count,
               int64_t group) {
  const ops::AttentionHeads heads{heads_count, heads_count / group, dim, group};
  const int64_t batch = omp_get_max_threads();
  const Tensor qkv = Random({batch, length, heads.packed_width()}, dtype);
  const auto y = Value(ops::AttentionForward(qkv, heads, TheStream()));
  const std::string name =
      std::string(Name(dtype)) + " T=" + std::to_string(length) +
      " D=" + std::to_string(dim) + " group=" + std::to_string(group);
  Report("attention forward  " + name,
         [&] { Value(ops::AttentionForward(qkv, heads, TheStream())); });
  Report("attention backward " + name, [&] {
    Value(ops::AttentionBackward(y.out, qkv, y.out, y.lse, heads, TheStream()));
  });
}

void Linear(DType dtype, int64_t rows, int64_t in, int64_t out) {
  const Tensor x = Random({rows, in}, dtype);
  const Tensor w = Random({out, in}, dtype);
  const Tensor dy = Random({rows, out}, dtype);
  const Tensor dw = Value(Tensor::Zeros({out, in}, DType::kF32, TheStream()));
  const std::string name = std::string(Name(dtype)) + " " +
                           std::to_string(rows) + "x" + std::to_string(in) +
                           "x" + std::to_string(out);
  Report("linear forward " + name,
         [&] { Value(ops::LinearForward(x, w, nullptr, TheStream())); });
  Report("linear input   " + name,
         [&] { Value(ops::LinearBackwardInput(dy, w, TheStream())); });
  Report("linear weight  " + name, [&] {
    Check(ops::LinearBackwardWeight(dy, x, {dw, true}, TheStream()));
  });
}

void Rotation(DType dtype) {
  const ops::AttentionHeads heads{6, 6, 64};
  const Tensor qkv = Random({16, 256, heads.packed_width()}, dtype);
  const Tensor table =
      Value(ops::RopeTable(256, 64, ops::PlainRope(10000.0), TheStream()));
  Report("rope " + std::string(Name(dtype)),
         [&] { Check(ops::Rope(qkv, heads, table, false, TheStream())); });
}

}  // namespace
}  // namespace eisbach

int main(int argc, char** argv) {
  using eisbach::DType;
  const auto wanted = [&](const char* name) {
    return argc < 2 || std::strcmp(argv[1], name) == 0;
  };
  std::printf("%d threads\n", omp_get_max_threads());
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    if (wanted("attention")) {
      for (int64_t length : {256, 512, 1024}) {
        eisbach::Attention(dtype, length, 64, 6, 1);
      }
      eisbach::Attention(dtype, 512, 64, 6, 3);
      eisbach::Attention(dtype, 512, 128, 6, 1);
      eisbach::Attention(dtype, 512, 40, 6, 1);
    }
    if (wanted("matmul")) {
      eisbach::Linear(dtype, 4096, 384, 1152);
      eisbach::Linear(dtype, 4096, 384, 384);
      eisbach::Linear(dtype, 4096, 384, 1536);
      eisbach::Linear(dtype, 4096, 1536, 384);
      eisbach::Linear(dtype, 4096, 384, 256);
    }
    if (wanted("rope")) eisbach::Rotation(dtype);
  }
}
