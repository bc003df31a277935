#include "checkpoint/foreign_weights.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/agree.h"
#include "checkpoint/safetensors_file.h"
#include "core/finite.h"
#include "core/status_macros.h"
#include "tensor/host_values.h"

namespace eisbach::checkpoint {
namespace {

// A tensor of a file as ours is laid out: rows of columns, a vector being a
// column of one.
struct Source {
  const SafetensorsFile* file;
  const SafetensorsEntry* entry;
  const ForeignTensor* told;
  DType dtype;
  int64_t rows;     // of the tensor, those of others among them
  int64_t columns;  // 1 for a vector

  // Which row of the file's is one of ours.
  int64_t RowOf(int64_t ours) const {
    return told->rows.empty() ? told->first_row + ours : told->rows[ours];
  }
  // Whether a row of the file's has a value of its own.
  bool IsKnown(int64_t row) const {
    return row < told->known_rows || row >= told->known_rows + told->new_rows;
  }

  std::string Where() const {
    return absl::StrCat(file->path(), ": tensor ", entry->name);
  }
};

// The files, each opened once.
class Files {
 public:
  absl::StatusOr<Source> Find(const ForeignTensor& tensor, const Shape& shape) {
    auto it = files_.find(tensor.file);
    if (it == files_.end()) {
      EISBACH_ASSIGN_OR_RETURN(SafetensorsFile file,
                               SafetensorsFile::Open(tensor.file));
      it = files_
               .emplace(tensor.file,
                        std::make_unique<SafetensorsFile>(std::move(file)))
               .first;
    }
    const SafetensorsFile& file = *it->second;
    Source source{
        .file = &file, .entry = file.Find(tensor.name), .told = &tensor};
    if (source.entry == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.path(), ": has no tensor ", tensor.name));
    }
    const SafetensorsEntry& entry = *source.entry;
    const std::optional<DType> dtype = entry.dtype;
    if (dtype != DType::kF32 && dtype != DType::kBF16 && dtype != DType::kF16) {
      return absl::InvalidArgumentError(
          absl::StrCat(source.Where(), " is of type ", entry.dtype_name,
                       "; weights are of F32, BF16, F16"));
    }
    source.dtype = *dtype;
    const int rows = tensor.transposed ? 1 : 0;
    if (entry.shape.rank() == shape.rank() && rows < shape.rank()) {
      source.rows = entry.shape[rows];
      source.columns = shape.rank() > 1 ? entry.shape[1 - rows] : 1;
      const int64_t columns = shape.rank() > 1 ? shape[1] : 1;
      if (source.columns == columns && HasRows(source, shape[0])) return source;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        source.Where(), " is of shape ", entry.shape.ToString(),
        "; the model has ", shape.ToString(),
        tensor.first_row > 0
            ? absl::StrCat(" from row ", tensor.first_row, " on")
            : "",
        tensor.new_rows > 0
            ? absl::StrCat(", of which the ", tensor.new_rows, " from row ",
                           tensor.known_rows, " on are new")
            : "",
        tensor.transposed ? ", transposed" : ""));
  }

 private:
  // Whether the file has what `rows` of ours are made of.
  static bool HasRows(const Source& source, int64_t rows) {
    const ForeignTensor& told = *source.told;
    int64_t needed = told.new_rows > 0 ? told.known_rows : 0;
    const bool listed = !told.rows.empty();
    if (listed && rows != static_cast<int64_t>(told.rows.size())) return false;
    if (told.new_rows > 0 && told.known_rows < 1) return false;
    for (int64_t row = 0; row < rows; ++row) {
      if (source.IsKnown(source.RowOf(row))) {
        needed = std::max(needed, source.RowOf(row) + 1);
      }
    }
    return needed <= source.rows;
  }

  std::map<std::string, std::unique_ptr<SafetensorsFile>> files_;
};

// Elements that are converted at once: of a whole table they would take twice
// its memory.
constexpr int64_t kPiece = 1 << 18;

// `count` elements from the `first` of the file's tensor on, as f32.
absl::Status Read(const Source& source, int64_t first, int64_t count,
                  std::vector<std::byte>& aligned, float* values) {
  const size_t size = SizeOf(source.dtype);
  const std::byte* bytes = source.file->Bytes(*source.entry).data();
  aligned.resize(count * size);
  std::memcpy(aligned.data(), bytes + first * size, aligned.size());
  WidenValues(source.dtype, aligned.data(), count, values);
  const auto at = FirstNonFinite(source.dtype, aligned);
  if (!at) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      source.Where(), ": element ", first + *at, " is ", values[*at]));
}

// Rows of the file's from `row` on, each from `column` on.
absl::Status ReadRows(const Source& source, int64_t row, int64_t rows,
                      int64_t column, int64_t columns, float* to) {
  std::vector<std::byte> aligned;
  if (!source.told->transposed) {
    if (columns == source.columns) {
      return Read(source, row * columns, rows * columns, aligned, to);
    }
    for (int64_t r = 0; r < rows; ++r) {
      EISBACH_RETURN_IF_ERROR(Read(source, (row + r) * source.columns + column,
                                   columns, aligned, to + r * columns));
    }
    return absl::OkStatus();
  }
  std::vector<float> line(rows);  // of the file: one column of ours
  for (int64_t c = 0; c < columns; ++c) {
    EISBACH_RETURN_IF_ERROR(Read(source, (column + c) * source.rows + row, rows,
                                 aligned, line.data()));
    for (int64_t r = 0; r < rows; ++r) to[r * columns + c] = line[r];
  }
  return absl::OkStatus();
}

// What new rows are, in some columns.
absl::StatusOr<std::vector<float>> MeanRow(const Source& source, int64_t column,
                                           int64_t columns) {
  const int64_t known = source.told->known_rows;
  std::vector<double> sums(columns);
  std::vector<float> piece;
  const int64_t most = std::max<int64_t>(kPiece / columns, 1);
  for (int64_t row = 0; row < known; row += most) {
    const int64_t rows = std::min(most, known - row);
    piece.resize(rows * columns);
    EISBACH_RETURN_IF_ERROR(
        ReadRows(source, row, rows, column, columns, piece.data()));
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) sums[c] += piece[r * columns + c];
    }
  }
  std::vector<float> mean(columns);
  for (int64_t c = 0; c < columns; ++c) {
    mean[c] = static_cast<float>(sums[c] / static_cast<double>(known));
  }
  return mean;
}

// Reads `rows` rows of a slice from its `first` on, in all its columns.
class SliceReader {
 public:
  SliceReader(const Source& source, const LogicalSlice& slice)
      : source_(source), first_(slice.start[0]) {
    const bool matrix = slice.shape.rank() > 1;
    column_ = matrix ? slice.start[1] : 0;
    columns_ = matrix ? slice.extent[1] : 1;
  }

  int64_t columns() const { return columns_; }

  absl::Status Read(int64_t first, int64_t rows, float* to) {
    for (int64_t r = 0; r < rows;) {
      const int64_t row = source_.RowOf(first_ + first + r);
      const bool known = source_.IsKnown(row);
      int64_t run = 1;  // of those that follow one another in the file as well
      while (r + run < rows &&
             source_.RowOf(first_ + first + r + run) == row + run &&
             source_.IsKnown(row + run) == known) {
        ++run;
      }
      float* at = to + r * columns_;
      if (known) {
        EISBACH_RETURN_IF_ERROR(
            ReadRows(source_, row, run, column_, columns_, at));
      } else {
        EISBACH_RETURN_IF_ERROR(WriteMean(run, at));
      }
      r += run;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status WriteMean(int64_t rows, float* to) {
    if (mean_.empty()) {
      EISBACH_ASSIGN_OR_RETURN(mean_, MeanRow(source_, column_, columns_));
    }
    for (int64_t r = 0; r < rows; ++r) {
      std::copy(mean_.begin(), mean_.end(), to + r * columns_);
    }
    return absl::OkStatus();
  }

  const Source& source_;
  int64_t first_;
  int64_t column_, columns_;
  std::vector<float> mean_;  // made when it is needed
};

// Whether the files have an adapter that keeps its initial values.
bool IsNew(const ForeignTensors& tensors, const ParamSpec& spec) {
  return spec.role == AdapterRole::kFactor &&
         std::none_of(spec.slices.begin(), spec.slices.end(),
                      [&](const LogicalSlice& slice) {
                        return tensors.contains(slice.name);
                      });
}

absl::Status Fill(const ForeignTensors& tensors, Files& files,
                  const Parameter& parameter, Stream& stream) {
  const ParamSpec& spec = parameter.spec();
  if (IsNew(tensors, spec)) return absl::OkStatus();
  const bool meta = stream.device().type() == DeviceType::kMeta;
  const ElementRange own = parameter.own();
  EISBACH_ASSIGN_OR_RETURN(const Tensor values,
                           parameter.master().View(Shape{own.elements}));
  std::vector<float> piece;
  for (const LogicalSlice& slice : spec.slices) {
    const auto found = tensors.find(slice.name);
    if (found == tensors.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("nothing says where ", slice.name, " lies"));
    }
    EISBACH_ASSIGN_OR_RETURN(const Source source,
                             files.Find(found->second, slice.shape));
    SliceReader reader(source, slice);
    const int64_t columns = reader.columns();
    const int64_t most = std::max<int64_t>(kPiece / columns, 1);
    int64_t at = SliceOffset(spec, slice);
    for (int64_t row = 0; row < slice.extent[0]; row += most) {
      const int64_t rows = std::min(most, slice.extent[0] - row);
      const ElementRange read{at, rows * columns};
      const ElementRange mine = Intersect(read, own);
      at = read.end();
      if (mine.elements == 0) continue;
      piece.resize(rows * columns);
      EISBACH_RETURN_IF_ERROR(reader.Read(row, rows, piece.data()));
      if (!meta) {
        EISBACH_ASSIGN_OR_RETURN(
            const Tensor part,
            values.Narrow(0, mine.begin - own.begin, mine.elements));
        EISBACH_RETURN_IF_ERROR(WriteValues(
            piece.data() + (mine.begin - read.begin), part, stream));
      }
    }
    source.file->Release(*source.entry);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LoadForeignWeights(const ForeignTensors& tensors,
                                absl::Span<Parameter* const> parameters,
                                const parallel::ParallelContext& context) {
  comm::Communicator& world = context.world().communicator();
  const comm::PhaseScope phase(world.activity(), comm::Phase::kLoad);
  Stream& stream = context.device().compute_stream();
  Files files;
  absl::Status status;
  for (Parameter* parameter : parameters) {
    status.Update(Fill(tensors, files, *parameter, stream));
    if (!status.ok()) break;
  }
  if (context.device().type() == DeviceType::kMeta) return status;
  return AgreeOnStatus(status, world, stream);
}

}  // namespace eisbach::checkpoint
