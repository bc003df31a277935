#include "autograd/graph.h"

#include <string>
#include <thread>
#include <vector>

#include "support/op_testing.h"

namespace eisbach::autograd::graph_test {
namespace {

using test::ToDoubles;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What the nodes of a test did.
struct Journal {
  std::vector<std::string> backward;
  std::vector<int64_t> bytes_in_use;  // when each ran
  int alive = 0;
};

// Passes its gradient on to all its inputs.
class Probe final : public Node {
 public:
  Probe(std::string name, int inputs, Journal* journal)
      : name_(std::move(name)), inputs_(inputs), journal_(journal) {
    ++journal_->alive;
  }
  ~Probe() override { --journal_->alive; }
  absl::string_view name() const override { return name_; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    journal_->backward.push_back(name_);
    journal_->bytes_in_use.push_back(test::TheDevice().memory().bytes_in_use);
    if (CurrentGraph() != nullptr) return absl::InternalError("recording");
    if (fails) return absl::InternalError("broken");
    for (const Tensor& grad : grads) arrived.push_back(grad.defined());
    const Tensor& grad = grads[0].defined() ? grads[0] : grads.back();
    for (int i = 0; i < inputs_; ++i) {
      EISBACH_RETURN_IF_ERROR(Send(i, grad, context.stream));
    }
    return absl::OkStatus();
  }

  static inline bool fails = false;
  static inline std::vector<bool> arrived;
  Tensor saved;

 private:
  std::string name_;
  int inputs_;
  Journal* journal_;
};

class GraphTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Probe::fails = false;
    Probe::arrived.clear();
  }

  Tensor Filled(double value, int64_t n = 2) {
    return test::FromValues({n}, DType::kF32, std::vector<double>(n, value));
  }
  Tensor One(const Tensor& x, const char* name) {
    Tensor y = Filled(0);
    graph_.Record<Probe>({&x}, {&y}, name, 1, &journal_);
    return y;
  }
  Tensor Two(const Tensor& a, const Tensor& b, const char* name) {
    Tensor y = Filled(0);
    graph_.Record<Probe>({&a, &b}, {&y}, name, 2, &journal_);
    return y;
  }
  absl::Status Back(const Tensor& y, const Tensor& grad) {
    return graph_.Backward({y}, {grad}, context_);
  }

  Journal journal_;
  Graph graph_;
  BackwardContext context_{test::TheStream()};
};

TEST_F(GraphTest, RunsAgainstTheOrderOfMaking) {
  Tensor x = graph_.Leaf(Filled(0));
  Tensor a = One(x, "a");
  Tensor b = One(a, "b");
  Tensor c = One(a, "c");
  Tensor d = Two(c, b, "d");
  EISBACH_ASSERT_OK(Back(d, Filled(1)));
  EXPECT_THAT(journal_.backward, ElementsAre("d", "c", "b", "a"));
}

TEST_F(GraphTest, GradientsOfAllReadersAreAdded) {
  Tensor x = graph_.Leaf(Filled(0));
  Tensor y = Two(Two(x, x, "a"), Two(x, x, "b"), "c");
  EISBACH_ASSERT_OK(Back(y, Filled(3)));
  EXPECT_THAT(ToDoubles(graph_.TakeGradient(x)), Each(12));
}

// One gradient tensor goes to two inputs; adding to one must not change it.
TEST_F(GraphTest, SharedGradientsAreNotWrittenTo) {
  Tensor x = graph_.Leaf(Filled(0));
  Tensor y = graph_.Leaf(Filled(0));
  Tensor early = One(x, "early");
  Tensor both = Two(x, y, "both");
  Tensor seed = Filled(1);
  EISBACH_ASSERT_OK(
      graph_.Backward({both, early}, {seed, Filled(10)}, context_));
  EXPECT_THAT(ToDoubles(graph_.TakeGradient(x)), Each(11));
  EXPECT_THAT(ToDoubles(graph_.TakeGradient(y)), Each(1));
  EXPECT_THAT(ToDoubles(seed), Each(1));
}

TEST_F(GraphTest, WhatTheOutputDoesNotNeedIsSkipped) {
  Tensor x = graph_.Leaf(Filled(0));
  Tensor unused = graph_.Leaf(Filled(0));
  Tensor a = One(x, "a");
  One(unused, "aside");
  Tensor constant = Filled(5);  // no edge: wants no gradient
  Tensor y = Two(a, constant, "y");
  One(y, "later");
  EISBACH_ASSERT_OK(Back(y, Filled(1)));
  EXPECT_THAT(journal_.backward, ElementsAre("y", "a"));
  EXPECT_FALSE(graph_.TakeGradient(unused).defined());
}

TEST_F(GraphTest, OutputsWithoutASeedOrAnEdgeAreLeftOut) {
  Tensor x = graph_.Leaf(Filled(0));
  Tensor a = One(x, "a"), b = One(x, "b");
  EISBACH_ASSERT_OK(graph_.Backward(
      {a, b, Filled(0)}, {Tensor(), Filled(2), Filled(9)}, context_));
  EXPECT_THAT(journal_.backward, ElementsAre("b"));
  EXPECT_THAT(ToDoubles(graph_.TakeGradient(x)), Each(2));
}

TEST_F(GraphTest, AnOutputThatNobodyUsedHasNoGradient) {
  Tensor x = graph_.Leaf(Filled(0));
  Tensor first = Filled(0), second = Filled(0);
  graph_.Record<Probe>({&x}, {&first, &second}, "pair", 1, &journal_);
  EXPECT_EQ(second.grad_edge().output, 1);
  EISBACH_ASSERT_OK(Back(One(second, "user"), Filled(4)));
  EXPECT_THAT(Probe::arrived, ElementsAre(true, false, true));
  EXPECT_THAT(ToDoubles(graph_.TakeGradient(x)), Each(4));
}

TEST_F(GraphTest, ALeafIsTakenOnce) {
  Tensor x = graph_.Leaf(Filled(0));
  EISBACH_ASSERT_OK(Back(One(x, "a"), Filled(1)));
  EXPECT_TRUE(graph_.TakeGradient(x).defined());
  EXPECT_FALSE(graph_.TakeGradient(x).defined());
}

TEST_F(GraphTest, AnErrorNamesTheNodeAndStops) {
  Tensor x = graph_.Leaf(Filled(0));
  Tensor y = One(One(x, "inner"), "outer");
  Probe::fails = true;
  EXPECT_THAT(Back(y, Filled(1)), test::StatusIs(absl::StatusCode::kInternal,
                                                 "backward of outer: broken"));
  EXPECT_THAT(journal_.backward, ElementsAre("outer"));
  graph_.Clear();
  EXPECT_EQ(journal_.alive, 0);
}

TEST_F(GraphTest, NodesAreFreedAsTheyAreWalked) {
  constexpr int64_t kSaved = 1 << 20;
  Tensor y = graph_.Leaf(Filled(0));
  for (int i = 0; i < 5; ++i) {
    Tensor next = Filled(0);
    graph_.Record<Probe>({&y}, {&next}, "n", 1, &journal_);
    static_cast<Probe*>(next.grad_edge().node)->saved =
        test::Empty({kSaved}, DType::kU8);
    y = next;
  }
  EISBACH_ASSERT_OK(Back(y, Filled(1)));
  EXPECT_EQ(journal_.alive, 0);
  ASSERT_EQ(journal_.bytes_in_use.size(), 5);
  for (int i = 1; i < 5; ++i) {
    EXPECT_EQ(journal_.bytes_in_use[i], journal_.bytes_in_use[0] - i * kSaved);
  }
}

TEST_F(GraphTest, ClearFreesWhatNeverRan) {
  const int64_t before = test::TheDevice().memory().bytes_in_use;
  {
    Tensor x = graph_.Leaf(Filled(0));
    Tensor y = One(x, "a");
    static_cast<Probe*>(y.grad_edge().node)->saved = Filled(0, 1000);
  }
  EXPECT_EQ(graph_.size(), 2);
  graph_.Clear();
  EXPECT_EQ(graph_.size(), 0);
  EXPECT_EQ(journal_.alive, 0);
  EXPECT_EQ(test::TheDevice().memory().bytes_in_use, before);
}

TEST_F(GraphTest, AGraphIsUsedAgainInTheSameMemory) {
  std::vector<GradNode*> first, second;
  for (auto* places : {&first, &second}) {
    Tensor x = graph_.Leaf(Filled(0));
    for (int i = 0; i < 1000; ++i) {
      x = One(x, "n");
      places->push_back(x.grad_edge().node);
    }
    EISBACH_ASSERT_OK(Back(x, Filled(1)));
    graph_.Clear();
  }
  EXPECT_EQ(first, second);
}

TEST_F(GraphTest, TheCurrentGraphIsScopedAndThreadLocal) {
  EXPECT_EQ(CurrentGraph(), nullptr);
  {
    GraphScope outer(&graph_);
    EXPECT_EQ(CurrentGraph(), &graph_);
    {
      GraphScope inner(nullptr);
      EXPECT_EQ(CurrentGraph(), nullptr);
    }
    EXPECT_EQ(CurrentGraph(), &graph_);
    std::thread([] { EXPECT_EQ(CurrentGraph(), nullptr); }).join();
    // Backward records nothing, whatever the scope it is called in.
    Tensor x = graph_.Leaf(Filled(0));
    EISBACH_EXPECT_OK(Back(One(x, "a"), Filled(1)));
  }
  EXPECT_EQ(CurrentGraph(), nullptr);
}

// Owned is protected: a node that overwrites what it is given.
class Overwriter final : public Node {
 public:
  absl::string_view name() const override { return "overwriter"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    const void* given = grads[0].raw();
    EISBACH_ASSIGN_OR_RETURN(Tensor grad,
                             Owned(std::move(grads[0]), context.stream));
    copied = grad.raw() != given;
    grad.data<float>()[0] = 100;
    return Send(0, std::move(grad), context.stream);
  }
  static inline bool copied = false;
};

TEST_F(GraphTest, OwnedCopiesOnlyWhatOthersHold) {
  for (bool shared : {true, false}) {
    Tensor x = graph_.Leaf(Filled(0));
    Tensor y = Filled(0);
    graph_.Record<Overwriter>({&x}, {&y});
    std::vector<Tensor> seeds = {Filled(1)};
    Tensor keep = shared ? seeds[0] : Tensor();
    // The seed has the caller's handle too, so hand it over through a node
    // that makes a fresh gradient of two.
    Tensor z = shared ? y : Two(y, y, "sum");
    EISBACH_ASSERT_OK(graph_.Backward({z}, seeds, context_));
    EXPECT_EQ(Overwriter::copied, shared);
    EXPECT_THAT(ToDoubles(seeds[0]), Each(1));
    EXPECT_THAT(ToDoubles(graph_.TakeGradient(x)),
                ElementsAre(100, shared ? 1 : 2));
    graph_.Clear();
  }
}

TEST(Deferred, RunsInOrderOnceAndStopsAtTheFirstError) {
  Deferred deferred;
  std::vector<int> ran;
  EXPECT_TRUE(deferred.empty());
  for (int i = 0; i < 3; ++i) {
    deferred.Push([&ran, i](Stream&) {
      ran.push_back(i);
      return absl::OkStatus();
    });
  }
  EXPECT_THAT(ran, IsEmpty());
  EISBACH_EXPECT_OK(deferred.Run(test::TheStream()));
  EXPECT_THAT(ran, ElementsAre(0, 1, 2));
  EXPECT_TRUE(deferred.empty());
  EISBACH_EXPECT_OK(deferred.Run(test::TheStream()));
  EXPECT_THAT(ran, ElementsAre(0, 1, 2));
  deferred.Push([](Stream&) { return absl::InternalError("first"); });
  deferred.Push([&ran](Stream&) {
    ran.push_back(9);
    return absl::OkStatus();
  });
  EXPECT_THAT(deferred.Run(test::TheStream()),
              test::StatusIs(absl::StatusCode::kInternal, "first"));
  EXPECT_THAT(ran, ElementsAre(0, 1, 2));
}

TEST(BackwardContext, WeightGradientsRunNowOrLater) {
  Deferred deferred;
  int ran = 0;
  const auto work = [&ran](Stream&) {
    ++ran;
    return absl::OkStatus();
  };
  BackwardContext now{test::TheStream()};
  EISBACH_EXPECT_OK(now.WeightGradient(work));
  EXPECT_EQ(ran, 1);
  BackwardContext later{test::TheStream(), &deferred};
  EISBACH_EXPECT_OK(later.WeightGradient(work));
  EXPECT_EQ(ran, 1);
  EISBACH_EXPECT_OK(deferred.Run(test::TheStream()));
  EXPECT_EQ(ran, 2);
}

}  // namespace
}  // namespace eisbach::autograd::graph_test
