// The rate of the linear layers of a step alone, at its own shapes:
//
//   build/benchmarks/matmul_rate f32 ROWS HIDDEN FFN VOCAB LAYERS
//
// Times, for each layer of a GPT block and the head, the products of forward,
// input gradient and weight gradient with nothing between them, and prints a
// JSON line for each (best of several repetitions), then one with the rate of
// all of a step's products: FLOPs by seconds, each as often as it occurs. On
// the threads that OMP_NUM_THREADS gives.

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "autograd/functions/head_chunks.h"
#include "ops/matmul.h"
#include "ops_support.h"

namespace eisbach {
namespace {

// Seconds of the best of at least 5 calls and 0.2 s.
template <typename F>
double Best(F&& f) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30, total = 0;
  f();
  for (int i = 0; i < 5 || total < 0.2; ++i) {
    const auto start = Clock::now();
    f();
    const double seconds =
        std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    total += seconds;
  }
  return best;
}

class Sum {
 public:
  explicit Sum(DType dtype) : dtype_(dtype) {}

  // A layer that occurs `times` in a step, `rows` rows at a time.
  void Layer(const std::string& name, double times, int64_t rows, int64_t in,
             int64_t out) {
    const Tensor x = Random({rows, in}, dtype_);
    const Tensor w = Random({out, in}, dtype_);
    const Tensor dy = Random({rows, out}, dtype_);
    const Tensor dw = Value(Tensor::Zeros({out, in}, DType::kF32, TheStream()));
    const double flops = 2.0 * rows * in * out;
    const auto add = [&](const char* product, double seconds) {
      std::printf(
          "{\"layer\": \"%s\", \"product\": \"%s\", \"rows\": %lld, \"in\": "
          "%lld, \"out\": %lld, \"gflops\": %.1f}\n",
          name.c_str(), product, static_cast<long long>(rows),
          static_cast<long long>(in), static_cast<long long>(out),
          flops / seconds * 1e-9);
      flops_ += times * flops;
      seconds_ += times * seconds;
    };
    add("forward",
        Best([&] { Value(ops::LinearForward(x, w, nullptr, TheStream())); }));
    add("input",
        Best([&] { Value(ops::LinearBackwardInput(dy, w, TheStream())); }));
    add("weight", Best([&] {
          Check(ops::LinearBackwardWeight(dy, x, {dw, true}, TheStream()));
        }));
  }

  void Print() const {
    std::printf("{\"layer\": \"all\", \"gflops\": %.1f}\n",
                flops_ / seconds_ * 1e-9);
  }

 private:
  const DType dtype_;
  double flops_ = 0, seconds_ = 0;
};

}  // namespace
}  // namespace eisbach

int main(int argc, char** argv) {
  using eisbach::DType;
  if (argc != 7) {
    std::fprintf(stderr,
                 "usage: matmul_rate f32|bf16 ROWS HIDDEN FFN VOCAB LAYERS\n");
    return 2;
  }
  const DType dtype =
      std::string(argv[1]) == "bf16" ? DType::kBF16 : DType::kF32;
  const auto number = [&](int i) { return std::atoll(argv[i]); };
  const int64_t rows = number(2), hidden = number(3), ffn = number(4);
  const int64_t vocab = number(5), layers = number(6);
  eisbach::Sum sum(dtype);
  const auto times = static_cast<double>(layers);
  sum.Layer("qkv", times, rows, hidden, 3 * hidden);
  sum.Layer("output", times, rows, hidden, hidden);
  sum.Layer("up", times, rows, hidden, ffn);
  sum.Layer("down", times, rows, ffn, hidden);
  // As the head is computed: in chunks of its logits.
  const int64_t row_bytes =
      vocab * static_cast<int64_t>(eisbach::SizeOf(dtype)) + 1;
  const int64_t most = std::max<int64_t>(
      1, eisbach::autograd::LogitsBytes(eisbach::DeviceType::kCpu) / row_bytes);
  const int64_t chunks = (rows + most - 1) / most;
  sum.Layer("head", static_cast<double>(chunks), (rows + chunks - 1) / chunks,
            hidden, vocab);
  sum.Print();
}
