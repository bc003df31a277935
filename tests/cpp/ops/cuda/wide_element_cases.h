#pragma once

#include <cstdlib>
#include <map>
#include <vector>

#include "ops/cuda/activation_kernels.h"
#include "ops/cuda/average_kernels.h"
#include "ops/cuda/copy_kernels.h"
#include "ops/cuda/cross_entropy_kernels.h"
#include "ops/cuda/elementwise_kernels.h"
#include "ops/cuda/embedding_kernels.h"
#include "ops/cuda/lion_kernels.h"
#include "ops/cuda/muon_kernels.h"
#include "ops/cuda/optimizer_kernels.h"
#include "ops/cuda/softcap_kernels.h"
#include "ops/cuda/stochastic_rounding_kernels.h"
#include "ops/cuda/type.h"
#include "ops/cuda/xielu_kernels.h"
#include "support/cuda/wide.h"

// Cases of wide_test.cc whose units are elements, and what all cases use.
namespace eisbach::cuda {

using test::Fill;
using test::TheStream;
using test::WideCase;
using test::WideOperand;

// What an unsigned index of 32 bits counts up to.
inline constexpr int64_t kPast = int64_t{1} << 32;
inline constexpr Type kType = Type::kBF16;
inline constexpr Fill kT = Fill::kBF16;

template <typename T>
T* As(void* p) {
  return static_cast<T*>(p);
}

// What all rows share: `n` numbers near 1 on a boundary of 64 bytes.
template <typename T>
T* Shared(int64_t n) {
  static std::map<int64_t, char*>* const made = new std::map<int64_t, char*>;
  char*& data = (*made)[n * 16 + static_cast<int64_t>(sizeof(T))];
  if (data == nullptr) {
    data = static_cast<char*>(std::aligned_alloc(64, n * 8 + 64));
    constexpr Fill kFill = sizeof(T) == 2 ? Fill::kBF16 : Fill::kF32;
    test::FillUnit({kFill, n}, 0, 0, data);
  }
  return reinterpret_cast<T*>(data);
}

inline const StepState kState = {0.01f, 0.5f, 0.1f, 0.05f, 1, 0, 1, 0};
inline const int64_t kStep = 3;

inline std::vector<WideCase> ElementCases() {
  // Neither whole pieces nor whole blocks.
  constexpr int64_t kN = kPast + 67, kFew = 67;
  const WideOperand t = {kT}, f32 = {Fill::kF32};
  const ops::Decay decay = ops::MakeDecay(0.9);
  std::vector<WideCase> cases;
  cases.push_back({"Add",
                   {"AddKernel"},
                   kN,
                   kFew,
                   {t, t, t},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchAdd(kType, p[0], p[1], p[2], n, TheStream());
                   }});
  cases.push_back({"Scale",
                   {"ScaleKernel"},
                   kN,
                   kFew,
                   {t},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchScale(kType, p[0], 0.5f, n, TheStream());
                   }});
  cases.push_back({"GeluForward",
                   {"GeluForwardKernel"},
                   kN,
                   kFew,
                   {t, t},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchGeluForward(kType, p[0], p[1], n,
                                              TheStream());
                   }});
  cases.push_back({"GeluBackward",
                   {"GeluBackwardKernel"},
                   kN,
                   kFew,
                   {t, t, t},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchGeluBackward(kType, p[0], p[1], p[2], n,
                                               TheStream());
                   }});
  for (bool random : {false, true}) {
    cases.push_back({random ? "AdamWRandom" : "AdamW",
                     {"AdamWKernel"},
                     kN,
                     kFew,
                     {f32, f32, f32, f32, t},
                     [=](char* const* p, int64_t first, int64_t n) {
                       const Rounding rounding = {&kStep, 5, first};
                       return LaunchAdamW(
                           kType, As<float>(p[0]), As<float>(p[1]),
                           As<float>(p[2]), As<float>(p[3]), p[4], &kState,
                           {decay, decay, 1e-8f, 0.1f, 1.0f},
                           random ? &rounding : nullptr, n, TheStream());
                     }});
  }
  cases.push_back({"Sgd",
                   {"SgdKernel"},
                   kN,
                   kFew,
                   {f32, f32, f32, t},
                   [=](char* const* p, int64_t, int64_t n) {
                     return LaunchSgd(kType, As<float>(p[0]), As<float>(p[1]),
                                      As<float>(p[2]), p[3], &kState, decay,
                                      0.1f, 1.0f, n, TheStream());
                   }});
  cases.push_back({"Lion",
                   {"LionKernel"},
                   kN,
                   kFew,
                   {f32, f32, f32, t},
                   [=](char* const* p, int64_t, int64_t n) {
                     return LaunchLion(kType, As<float>(p[0]), As<float>(p[1]),
                                       As<float>(p[2]), p[3], &kState,
                                       {decay, decay, 0.1f, 1.0f}, n,
                                       TheStream());
                   }});
  cases.push_back({"Average",
                   {"AverageKernel"},
                   kN,
                   kFew,
                   {f32, f32},
                   [=](char* const* p, int64_t, int64_t n) {
                     return LaunchAverage(As<float>(p[0]), As<float>(p[1]),
                                          &kState, decay, n, TheStream());
                   }});
  cases.push_back({"MuonMomentum",
                   {"MuonMomentumKernel"},
                   kN,
                   kFew,
                   {f32, f32, f32},
                   [=](char* const* p, int64_t, int64_t n) {
                     return LaunchMuonMomentum(As<float>(p[0]), As<float>(p[1]),
                                               As<float>(p[2]), &kState, decay,
                                               true, n, TheStream());
                   }});
  cases.push_back({"MuonStep",
                   {"MuonStepKernel"},
                   kN,
                   kFew,
                   {f32, f32, t},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchMuonStep(kType, As<float>(p[0]),
                                           As<float>(p[1]), p[2], &kState, 0.1f,
                                           1.0f, n, TheStream());
                   }});
  cases.push_back({"DivideByRoot",
                   {"DivideByRootKernel"},
                   kN,
                   kFew,
                   {f32, t},
                   [](char* const* p, int64_t, int64_t n) {
                     static const double square = 4;
                     return LaunchDivideByRoot(kType, As<float>(p[0]), &square,
                                               1e-7f, p[1], n, TheStream());
                   }});
  cases.push_back({"Blend",
                   {"BlendKernel"},
                   kN,
                   kFew,
                   {t, t},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchBlend(kType, 2.0f, p[0], 3.0f, p[1], n,
                                        TheStream());
                   }});
  cases.push_back({"Round",
                   {"RoundKernel"},
                   kN,
                   kFew,
                   {f32, t},
                   [](char* const* p, int64_t first, int64_t n) {
                     return LaunchRoundStochastically(As<float>(p[0]), p[1], n,
                                                      {&kStep, 5, first},
                                                      TheStream());
                   }});
  cases.push_back(
      {"CopyInParts",
       {"CopyRows"},
       kN,
       kFew,
       {f32, t},
       [](char* const* p, int64_t, int64_t n) {
         const CopyShape shape = {.row = {n, 1, 1}, .column = {1, 0, 0}};
         return LaunchCopy(Element::kF32, p[0], Element::kBF16, p[1], shape,
                           TheStream());
       }});
  cases.push_back({"Softcap",
                   {"SoftcapKernel"},
                   kN,
                   kFew,
                   {t},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchSoftcap(kType, p[0], 2, n, TheStream());
                   }});
  cases.push_back({"SoftcapBackward",
                   {"SoftcapBackwardKernel"},
                   kN,
                   kFew,
                   {t, t},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchSoftcapBackward(kType, p[0], p[1], 2, n,
                                                  TheStream());
                   }});
  cases.push_back({"XieluForward",
                   {"XieluForwardKernel"},
                   kN,
                   kFew,
                   {t, t},
                   [](char* const* p, int64_t, int64_t n) {
                     const auto* alpha = Shared<uint16_t>(1);
                     return LaunchXieluForward(kType, p[0], alpha, alpha, p[1],
                                               n, TheStream());
                   }});
  cases.push_back({"XieluBackward",
                   {"XieluBackwardKernel"},
                   kN,
                   kFew,
                   {t, t, t},
                   [](char* const* p, int64_t, int64_t n) {
                     const auto* alpha = Shared<uint16_t>(1);
                     return LaunchXieluBackward(
                         kType, p[0], p[1], alpha, alpha, p[2],
                         Shared<float>(2 * XieluBackwardBlocks(n)), n,
                         TheStream());
                   }});
  cases.push_back({"AddPosition",
                   {"AddPositionKernel"},
                   kPast + 64,
                   64,
                   {{kT, 1, 2}, t},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchAddPosition(kType, p[0], p[1], 2, n,
                                              TheStream());
                   }});
  cases.push_back({"PositionBackward",
                   {"PositionBackwardKernel"},
                   kPast + 64,
                   64,
                   {{kT, 1, 2}, f32},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchPositionBackward(kType, p[0], 2, n, n, true,
                                                   As<float>(p[1]),
                                                   TheStream());
                   }});
  cases.push_back({"Combine",
                   {"CombineKernel"},
                   kPast + 67,
                   kFew,
                   {{Fill::kF32, 3, 2}, {Fill::kSmall}, f32, f32},
                   [](char* const* p, int64_t, int64_t n) {
                     return LaunchCrossEntropyCombine(
                         As<float>(p[0]), 2, n, 3, As<int>(p[1]), {0, 0, 32},
                         {nullptr, As<float>(p[2]), As<float>(p[3]), nullptr},
                         TheStream());
                   }});
  return cases;
}

}  // namespace eisbach::cuda
