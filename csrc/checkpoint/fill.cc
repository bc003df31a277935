#include "checkpoint/fill.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "checkpoint/saved_slice.h"
#include "core/mapped_file.h"
#include "core/status_macros.h"
#include "device/cpu/parallel_for.h"
#include "tensor/host_values.h"

namespace eisbach::checkpoint {
namespace {

// Elements that one thread copies at a time: tensors differ too much in size.
constexpr int64_t kCopiedElements = int64_t{1} << 16;
// Bytes that are asked for before they are copied: what a fast disk reads while
// a slow one finds the first of them.
constexpr int64_t kAheadBytes = int64_t{64} << 20;

// Some rows of a box that is copied.
struct CopiedRows {
  const SliceSource* source;
  const Box* to;
  float* values;  // of `to`
  Box part;
};

// Whether values can be put where they belong.
bool InPlace(const Tensor& local) {
  return local.dtype() == DType::kF32 &&
         local.device().type() == DeviceType::kCpu;
}

// `host` has room for those that are not in place.
absl::Status FillOne(const FillTarget& target, float* host, Stream& stream) {
  const Tensor& local = target.stored->local;
  float* values = InPlace(local) ? local.data<float>() : host;
  std::vector<CopiedRows> all;
  int64_t left = local.elements();
  for (const BoxSources& each : target.boxes) {
    const Box& to = each.at.box;
    float* const at = values + (each.at.offset - target.stored->own.begin);
    left -= to.elements();
    for (const SliceSource& source : each.sources) {
      for (Box& part : CutRows(source.part, kCopiedElements)) {
        all.push_back({&source, &to, at, std::move(part)});
      }
    }
  }
  if (left > 0) std::fill_n(values, local.elements(), 0.0f);  // padding
  cpu::ParallelFor(
      static_cast<int64_t>(all.size()), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const CopiedRows& each = all[i];
          CopyBox(each.part, each.source->box, each.source->bytes.data(),
                  *each.to, each.values);
        }
      });
  if (values != host) return absl::OkStatus();
  return WriteValues(values, local, stream);
}

// Asks for the sources of targets some way ahead of those that are filled.
class Ahead {
 public:
  explicit Ahead(absl::Span<const FillTarget> plan) : plan_(plan) {}

  // Before `target` of the plan is filled.
  void MoveTo(size_t target) {
    if (target > 0) asked_ -= BytesOf(plan_[target - 1]);
    for (; next_ < plan_.size() && asked_ < kAheadBytes; ++next_) {
      asked_ += BytesOf(plan_[next_]);
      for (const BoxSources& each : plan_[next_].boxes) {
        for (const SliceSource& source : each.sources) ReadSoon(Used(source));
      }
    }
  }

 private:
  static int64_t BytesOf(const FillTarget& target) {
    return target.stored->local.elements() *
           static_cast<int64_t>(sizeof(float));
  }
  // From the first to the last byte that is copied.
  static std::span<const std::byte> Used(const SliceSource& source) {
    Box last = source.part;
    for (int d = 0; d < last.start.rank(); ++d) {
      last.start.Set(d, last.start[d] + last.extent[d] - 1);
    }
    const int64_t begin = OffsetIn(source.part, source.box);
    const int64_t end = OffsetIn(last, source.box) + 1;
    return source.bytes.subspan(begin * sizeof(float),
                                (end - begin) * sizeof(float));
  }

  const absl::Span<const FillTarget> plan_;
  size_t next_ = 0;    // of the plan, to be asked for
  int64_t asked_ = 0;  // bytes of those that are not filled yet
};

}  // namespace

absl::StatusOr<std::vector<FillTarget>> PlanFill(
    absl::Span<const StoredTensor> stored, ShardSet& shards) {
  std::vector<FillTarget> plan;
  for (const StoredTensor& tensor : stored) {
    FillTarget target{&tensor, {}};
    for (const LogicalSlice& slice : tensor.spec->slices) {
      for (BoxAt& at : BoxesOf(*tensor.spec, slice, tensor.own)) {
        const SavedSlice wanted{tensor.part, slice.name, slice.shape, at.box};
        EISBACH_ASSIGN_OR_RETURN(std::vector<SliceSource> sources,
                                 shards.Find(wanted));
        target.boxes.push_back({std::move(at), std::move(sources)});
      }
    }
    plan.push_back(std::move(target));
  }
  return plan;
}

absl::Status Fill(absl::Span<const FillTarget> plan, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  int64_t most = 0;
  for (const FillTarget& target : plan) {
    const Tensor& local = target.stored->local;
    if (!InPlace(local)) most = std::max(most, local.elements());
  }
  std::vector<float> host(most);
  Ahead ahead(plan);
  for (size_t i = 0; i < plan.size(); ++i) {
    ahead.MoveTo(i);
    EISBACH_RETURN_IF_ERROR(FillOne(plan[i], host.data(), stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::checkpoint
