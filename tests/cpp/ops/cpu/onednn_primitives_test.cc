// Which kernels of oneDNN run. tests.cmake repeats this for each of the
// instruction sets that an environment can choose, up to what the CPU has.

#include "ops/cpu/onednn_primitives.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <vector>

#include "ops/cpu/matmul_choice.h"
#include "support/op_testing.h"

namespace eisbach::ops::cpu::onednn_primitives_test {
namespace {

using test::Value;

struct Size {
  int64_t m, n, k;
};
// Those of layers, of their gradients, and of one token at a time; odd ones.
constexpr Size kSizes[] = {
    {128, 96, 64}, {96, 64, 128}, {1, 192, 64}, {7, 33, 5}, {17, 257, 130}};
constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

Tensor View(int64_t rows, int64_t columns, DType dtype, bool transposed,
            int64_t padding) {
  const int64_t outer = transposed ? columns : rows;
  const int64_t inner = transposed ? rows : columns;
  const Tensor whole = test::Normal({outer, inner + padding}, dtype, 1);
  const Tensor view = Value(whole.Narrow(1, 0, inner));
  return transposed ? Value(view.Transpose(0, 1)) : view;
}

// What layers ask of Matmul in this size and dtype, in every layout.
void Multiply(const Size& size, DType dtype) {
  const auto matmul = [&](const Tensor& a, const Tensor& b, const Tensor* bias,
                          bool accumulate, DType c_dtype) {
    const Tensor c = test::Normal({size.m, size.n}, c_dtype, 2);
    EISBACH_EXPECT_OK(Matmul(a, b, bias, accumulate, c, test::TheStream()));
  };
  for (int layout = 0; layout < 8; ++layout) {
    const int64_t padding = layout & 4 ? 6 : 0;
    const Tensor a = View(size.m, size.k, dtype, layout & 1, padding);
    const Tensor b = View(size.k, size.n, dtype, layout & 2, padding);
    matmul(a, b, nullptr, true, DType::kF32);
    matmul(a, b, nullptr, false, dtype);
    if ((layout & 3) != 2) continue;  // x and the transpose of a weight
    matmul(a, b, nullptr, false, DType::kF32);
    for (DType bias_dtype : {dtype, DType::kF32}) {
      const Tensor bias = test::Normal({size.n}, bias_dtype, 3);
      matmul(a, b, &bias, false, dtype);
    }
  }
}

std::atomic<int> handled = 0;
std::atomic<int> elsewhere = 0;  // of them where the stack was not
uintptr_t stack_begin, stack_end;

// Runs on a stack of its own, as what it would write to may be in use.
void LookAtTheStack(int, siginfo_t*, void* interrupted) {
#if defined(__x86_64__)
  const auto* context = static_cast<const ucontext_t*>(interrupted);
  const auto top = static_cast<uintptr_t>(context->uc_mcontext.gregs[REG_RSP]);
  elsewhere += top < stack_begin || top >= stack_end;
#endif
  ++handled;
}

void FindStack() {
  pthread_attr_t attributes;
  void* begin = nullptr;
  size_t size = 0;
  ASSERT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
  ASSERT_EQ(pthread_attr_getstack(&attributes, &begin, &size), 0);
  pthread_attr_destroy(&attributes);
  stack_begin = reinterpret_cast<uintptr_t>(begin);
  stack_end = stack_begin + size;
}

// For AVX2 oneDNN makes products that keep the stack pointer in the heap.
TEST(OneDnnPrimitives, NoSignalComesWhereTheStackIsNot) {
  const test::ScopedThreads one(1);
  FindStack();
  std::vector<char> memory(1 << 16);
  const stack_t stack{
      .ss_sp = memory.data(), .ss_flags = 0, .ss_size = memory.size()};
  stack_t old_stack;
  ASSERT_EQ(sigaltstack(&stack, &old_stack), 0);
  struct sigaction action {
  }, old_action;
  action.sa_sigaction = &LookAtTheStack;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ASSERT_EQ(sigaction(SIGPROF, &action, &old_action), 0);
  itimerval often{{0, 500}, {0, 500}}, never{};
  ASSERT_EQ(setitimer(ITIMER_PROF, &often, nullptr), 0);
  for (int i = 0; i < 10000 && handled < 20; ++i) {
    Multiply({512, 192, 512}, DType::kF32);
  }
  setitimer(ITIMER_PROF, &never, nullptr);
  sigaction(SIGPROF, &old_action, nullptr);
  sigaltstack(&old_stack, nullptr);
  EXPECT_GE(handled, 20);
  EXPECT_EQ(elsewhere, 0);
}

TEST(OneDnnPrimitives, NoneThatRunsIsAReferenceOne) {
  const test::ScopedThreads one(1);  // small products, on a machine in use
  for (DType dtype : kDTypes) {
    for (const Size& size : kSizes) Multiply(size, dtype);
  }
  for (DType dtype : kDTypes) {
    for (const std::string& name : MatmulImplementations(dtype)) {
      EXPECT_FALSE(IsReference(name)) << Name(dtype) << ": " << name;
    }
  }
  // By which the others go where they have no kernel.
  EXPECT_THAT(MatmulImplementations(DType::kF32),
              testing::Not(testing::IsEmpty()));
}

}  // namespace
}  // namespace eisbach::ops::cpu::onednn_primitives_test
