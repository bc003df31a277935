#include "train/measure_reference.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "data/batch.h"

namespace eisbach::train {
namespace {

static_assert(data::kPairNumbers == ops::kPairSums);

struct Place {
  int source;
  int64_t row;
};

// The pairs [begin, begin + count) of all sources' pairs; past the end the last
// one again.
absl::StatusOr<StepInput> InputOf(const data::Corpus& corpus,
                                  const std::vector<Place>& pairs,
                                  int64_t begin, int64_t count,
                                  Device& device) {
  const int64_t context = corpus.context();
  const auto size = static_cast<size_t>(count * context);
  std::vector<int32_t> tokens(size), targets(size), starts(size);
  std::vector<int64_t> index(count);
  for (int64_t i = 0; i < count; ++i) {
    index[i] = std::min<int64_t>(begin + i, pairs.size() - 1);
    const Place& place = pairs[index[i]];
    const auto row = [&](std::vector<int32_t>& all) {
      return absl::MakeSpan(all).subspan(i * context, context);
    };
    EISBACH_RETURN_IF_ERROR(corpus.ReadPair(
        place.source, place.row, {row(tokens), row(targets), row(starts)}));
  }
  StepInput input;
  input.ids_below = data::IdsBelow(tokens, targets);
  Stream& stream = device.compute_stream();
  const auto copy = [&](Tensor& to, const Shape& shape, DType dtype,
                        const void* from) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(to, Tensor::Empty(shape, dtype, device));
    return device.CopyToDevice(to.raw(), from, to.bytes(), stream);
  };
  const Shape rows{count, context};
  EISBACH_RETURN_IF_ERROR(copy(input.tokens, rows, DType::kI32, tokens.data()));
  EISBACH_RETURN_IF_ERROR(
      copy(input.targets, rows, DType::kI32, targets.data()));
  EISBACH_RETURN_IF_ERROR(copy(input.starts, rows, DType::kI32, starts.data()));
  EISBACH_RETURN_IF_ERROR(
      copy(input.sample_index, Shape{count}, DType::kI64, index.data()));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());  // the vectors end here
  return input;
}

// Those of all data ranks, in their order; ranks that divide rows have the
// same.
absl::StatusOr<std::vector<double>> GatherNumbers(
    const std::vector<double>& mine, const parallel::ParallelContext& context) {
  Device& device = context.device();
  Stream& stream = device.compute_stream();
  const auto count = static_cast<int64_t>(mine.size());
  EISBACH_ASSIGN_OR_RETURN(const Tensor part,
                           Tensor::Empty(Shape{count}, DType::kF64, device));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(part.raw(), mine.data(), part.bytes(), stream));
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor all,
      Tensor::Empty(Shape{count * context.data().size()}, DType::kF64, device));
  EISBACH_RETURN_IF_ERROR(context.data().AllGather(part, all, stream));
  std::vector<double> repeated(all.elements());
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(repeated.data(), all.raw(), all.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  std::vector<double> numbers;
  const int64_t once = count * context.size(Axis::kContext);
  for (auto from = repeated.begin(); from < repeated.end(); from += once) {
    numbers.insert(numbers.end(), from, from + count);
  }
  return numbers;
}

}  // namespace

absl::StatusOr<data::PairReference> MeasureReference(
    Engine& engine, const data::Corpus& corpus,
    absl::FunctionRef<absl::Status(int64_t done, int64_t all)> progress) {
  if (!corpus.pairs()) {
    return absl::FailedPreconditionError(
        "a reference is measured on pairs of answers, and the corpus has none "
        "(documents=pairs)");
  }
  const parallel::ParallelContext& context = engine.context();
  data::PairReference reference;
  std::vector<Place> pairs;
  for (int source = 0; source < corpus.sources(); ++source) {
    const int64_t rows = corpus.Pairs(source);
    reference.emplace_back(rows * data::kPairNumbers);
    for (int64_t row = 0; row < rows; ++row) pairs.push_back({source, row});
  }
  const auto all = static_cast<int64_t>(pairs.size());
  const int64_t samples = engine.samples();
  const int64_t step = samples * context.size(Axis::kData);
  for (int64_t begin = 0; begin < all; begin += step) {
    EISBACH_ASSIGN_OR_RETURN(
        const StepInput input,
        InputOf(corpus, pairs, begin + context.index(Axis::kData) * samples,
                samples, context.device()));
    EISBACH_ASSIGN_OR_RETURN(const std::vector<double> mine,
                             engine.MeasurePairs(input));
    EISBACH_ASSIGN_OR_RETURN(const std::vector<double> numbers,
                             GatherNumbers(mine, context));
    const int64_t end = std::min(begin + step, all);
    for (int64_t i = begin; i < end; ++i) {
      const double* from = numbers.data() + (i - begin) * data::kPairNumbers;
      if (!std::isfinite(from[0]) || !std::isfinite(from[1])) {
        return absl::DataLossError(absl::StrCat(
            "the model before its first step gives pair ", i,
            " a log probability that is not finite (dpo.reference=start)"));
      }
      std::copy_n(from, data::kPairNumbers,
                  reference[pairs[i].source].begin() +
                      pairs[i].row * data::kPairNumbers);
    }
    EISBACH_RETURN_IF_ERROR(progress(end, all));
  }
  return reference;
}

}  // namespace eisbach::train
