#include <pybind11/stl/filesystem.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/numpy.h"
#include "bindings/variable.h"
#include "core/content_hash.h"
#include "core/status_macros.h"
#include "data/content.h"
#include "data/corpus.h"
#include "data/data_loader.h"
#include "data/token_file.h"
#include "data/token_file_writer.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using data::Batch;
using data::Corpus;
using data::DataLoader;
using data::TokenFile;
using data::TokenFileWriter;

Tensor ToDevice(const py::array& array, Device& device) {
  return TensorFromArray(array, device, /*copy=*/true);
}

std::string ShapeOf(const py::array& array) {
  return Shape(
             std::vector<int64_t>(array.shape(), array.shape() + array.ndim()))
      .ToString();
}

// The samples' indices in the run: those that are given, or 0, 1, ...
Tensor SampleIndices(const std::optional<Integers>& samples, int64_t count,
                     Device& device) {
  using Indices =
      py::array_t<int64_t, py::array::c_style | py::array::forcecast>;
  if (!samples) {
    Indices counted(count);
    for (int64_t i = 0; i < count; ++i) counted.mutable_at(i) = i;
    return ToDevice(counted, device);
  }
  const py::array& given = samples->array;
  if (given.ndim() != 1 || given.shape(0) != count) {
    throw py::value_error(absl::StrCat("Batch: samples are [", count,
                                       "], one for each row of tokens, not ",
                                       ShapeOf(given)));
  }
  const Indices indices(given);
  for (int64_t i = 0; i < count; ++i) {
    if (indices.at(i) >= 0) continue;
    throw py::value_error(absl::StrCat("Batch: samples[", i,
                                       "]=", indices.at(i),
                                       " as 64 bits; an index "
                                       "is 0 or more"));
  }
  return ToDevice(indices, device);
}

// Where the document of each token begins in its row.
Tensor DocumentStarts(const Integers& starts, const Integers& tokens,
                      Device& device) {
  if (ShapeOf(starts.array) != ShapeOf(tokens.array)) {
    throw py::value_error(absl::StrCat(
        "Batch: tokens are ", ShapeOf(tokens.array), " and starts ",
        ShapeOf(starts.array), "; each token has the start of its document"));
  }
  const py::array_t<int32_t> begins = AsTokens(starts);
  const int64_t context = begins.shape(1);
  for (int64_t i = 0; i < begins.size(); ++i) {
    const int64_t start = begins.data()[i], place = i % context;
    // A start is its own, and documents come one after another.
    if (start >= 0 && start <= place &&
        begins.data()[i - place + start] == start &&
        (place == 0 || start == place || start == begins.data()[i - 1])) {
      continue;
    }
    throw py::value_error(
        absl::StrCat("Batch: starts[", i / context, ", ", place, "]=", start,
                     " is no start of its document: that is ", place,
                     " itself, or the "
                     "start of the token before it"));
  }
  return ToDevice(begins, device);
}

Batch MakeBatch(const Integers& tokens, const Integers& targets, Device& device,
                const std::optional<Integers>& samples, int64_t step,
                const std::optional<Integers>& starts) {
  if (tokens.array.ndim() != 2) {
    throw py::value_error(
        absl::StrCat("Batch: tokens are of shape [samples, context], not ",
                     ShapeOf(tokens.array)));
  }
  if (ShapeOf(tokens.array) != ShapeOf(targets.array)) {
    throw py::value_error(absl::StrCat(
        "Batch: tokens are ", ShapeOf(tokens.array), " and targets ",
        ShapeOf(targets.array), "; each token has its target"));
  }
  if (step < 0) {
    throw py::value_error(
        absl::StrCat("Batch: step=", step, " is below 0, the first"));
  }
  Batch batch;
  batch.step = step;
  const py::array_t<int32_t> ids = AsTokens(tokens), wanted = AsTokens(targets);
  batch.ids_below =
      data::IdsBelow({ids.data(), static_cast<size_t>(ids.size())},
                     {wanted.data(), static_cast<size_t>(wanted.size())});
  batch.tokens = ToDevice(ids, device);
  batch.targets = ToDevice(wanted, device);
  batch.samples = SampleIndices(samples, tokens.array.shape(0), device);
  if (starts) batch.starts = DocumentStarts(*starts, tokens, device);
  return batch;
}

// The tokens of a document or of a part of it.
py::array_t<int32_t> AsDocument(const Integers& tokens) {
  if (tokens.array.ndim() == 1) return AsTokens(tokens);
  throw py::value_error(absl::StrCat("tokens of a document are [tokens], not ",
                                     ShapeOf(tokens.array)));
}

// 1 for each of so many tokens that is trained, else 0; empty for no mask.
std::vector<uint8_t> AsMask(const std::optional<Integers>& mask,
                            int64_t tokens) {
  if (!mask) return {};
  if (mask->array.ndim() != 1 || mask->array.size() != tokens) {
    throw py::value_error(absl::StrCat("mask is [", tokens,
                                       "], a value for each token, not ",
                                       ShapeOf(mask->array)));
  }
  const py::array_t<int32_t> values = AsTokens(*mask);
  std::vector<uint8_t> trained(values.size());
  for (size_t i = 0; i < trained.size(); ++i) {
    const int32_t value = values.data()[i];
    if (value < 0 || value > 1) {
      throw py::value_error(absl::StrCat("mask[", i, "]=", value,
                                         " is neither 1 (trained) nor 0"));
    }
    trained[i] = static_cast<uint8_t>(value);
  }
  return trained;
}

data::Documents DocumentsFromName(const std::string& name) {
  if (name == "auto") return data::Documents::kAuto;
  if (name == "joined") return data::Documents::kJoined;
  if (name == "separate") return data::Documents::kSeparate;
  if (name == "pairs") return data::Documents::kPairs;
  throw py::value_error("documents=" + name +
                        " is none of auto, joined, separate (data.documents), "
                        "pairs");
}

void CheckVocab(int64_t vocab) {
  if (vocab >= 1) return;
  throw py::value_error(
      absl::StrCat("vocab=", vocab, " is below 1 (model.vocab)"));
}

void BindTokenFiles(CoreModule& m) {
  Class<TokenFileWriter>(
      m, "TokenFileWriter",
      "Writes PREFIX.bin and PREFIX.idx in Megatron's format; nothing is seen "
      "under these names before close().")
      .def(py::init([](const std::filesystem::path& prefix,
                       const std::string& dtype,
                       std::optional<int32_t> end_of_document, bool masked) {
             for (auto type : {data::TokenType::kU8, data::TokenType::kU16,
                               data::TokenType::kI32}) {
               if (dtype != std::string(data::Name(type))) continue;
               return Unwrap(TokenFileWriter::Create(
                   prefix.string(), type, end_of_document,
                   std::numeric_limits<int32_t>::max(), masked));
             }
             throw py::value_error("dtype=" + dtype +
                                   " is none of u8, u16, i32");
           }),
           py::arg("prefix"), py::kw_only(), py::arg("dtype"),
           py::arg("end_of_document") = py::none(), py::arg("masked") = false,
           "`masked`: PREFIX.mask is written as well, which says of each token "
           "whether it is trained.")
      .def(
          "add_document",
          [](TokenFileWriter& writer, const Integers& tokens,
             const std::optional<Integers>& mask) {
            const py::array_t<int32_t> ids = AsDocument(tokens);
            const absl::Span<const int32_t> span(ids.data(), ids.size());
            const auto trained = AsMask(mask, ids.size());
            WithoutGil([&] { Unwrap(writer.AddDocument(span, trained)); });
          },
          py::arg("tokens"), py::arg("mask") = py::none(),
          "Appends integers, and the end of document where there is one. "
          "`mask` is 1 for each that is trained, else 0; None: all are.")
      .def(
          "append",
          [](TokenFileWriter& writer, const Integers& tokens,
             const std::optional<Integers>& mask) {
            const py::array_t<int32_t> ids = AsDocument(tokens);
            const absl::Span<const int32_t> span(ids.data(), ids.size());
            const auto trained = AsMask(mask, ids.size());
            WithoutGil([&] { Unwrap(writer.Append(span, trained)); });
          },
          py::arg("tokens"), py::arg("mask") = py::none(),
          "Adds to the document at hand; `mask` as for `add_document`.")
      .def("end_document", &TokenFileWriter::EndDocument,
           py::call_guard<py::gil_scoped_release>(),
           "Ends the document at hand.")
      .def("close", &TokenFileWriter::Finish,
           py::call_guard<py::gil_scoped_release>(),
           "Makes all files durable. At most once.")
      .def_property_readonly("documents", &TokenFileWriter::documents,
                             "That were added.")
      .def_property_readonly("tokens", &TokenFileWriter::tokens,
                             "That were added, ends included.");

  Class<TokenFile>(m, "TokenFile", "Documents of token ids in mapped files.")
      .def(py::init([](const std::filesystem::path& prefix) {
             return std::make_unique<TokenFile>(
                 Unwrap(TokenFile::Open(prefix.string())));
           }),
           py::arg("prefix"))
      .def_property_readonly("prefix", &TokenFile::prefix,
                             "Path without suffix.")
      .def_property_readonly(
          "dtype",
          [](const TokenFile& f) { return std::string(data::Name(f.type())); },
          "Of the tokens in the file.")
      .def_property_readonly("tokens", &TokenFile::tokens, "Of all documents.")
      .def_property_readonly("masked", &TokenFile::masked,
                             "Whether there is a PREFIX.mask.")
      .def_property_readonly("trained", &TokenFile::trained,
                             "How many tokens are; all where there is no mask.")
      .def(
          "mask",
          [](const TokenFile& file, int64_t document) {
            if (document < 0 || document >= file.documents()) {
              throw py::index_error("no such document");
            }
            py::array_t<uint8_t> mask(file.DocumentLength(document));
            Unwrap(file.ReadMask(
                document, 0, absl::MakeSpan(mask.mutable_data(), mask.size())));
            return mask;
          },
          py::arg("document"),
          "u8: 1 for each token of a document that is trained, else 0.")
      .def("__len__", &TokenFile::documents)
      .def(
          "__getitem__",
          [](const TokenFile& file, int64_t document) {
            if (document < 0) document += file.documents();
            if (document < 0 || document >= file.documents()) {
              throw py::index_error("no such document");
            }
            py::array_t<int32_t> tokens(file.DocumentLength(document));
            Unwrap(file.Read(
                document, 0, std::numeric_limits<int32_t>::max(),
                absl::MakeSpan(tokens.mutable_data(), tokens.size())));
            return tokens;
          },
          py::arg("document"), "The tokens of a document, i32.")
      .def(
          "document_length",
          [](const TokenFile& file, int64_t document) {
            if (document < 0 || document >= file.documents()) {
              throw py::index_error("no such document");
            }
            return file.DocumentLength(document);
          },
          py::arg("document"), "Tokens of a document in [0, len(self)).")
      .def(
          "read",
          [](const TokenFile& file, int64_t document, int64_t begin,
             int64_t tokens) {
            const int64_t documents = file.documents();
            const int64_t length = document >= 0 && document < documents
                                       ? file.DocumentLength(document)
                                       : -1;
            if (begin < 0 || tokens < 0 || begin > length ||
                tokens > length - begin) {
              throw py::index_error("the document has no such tokens");
            }
            py::array_t<int32_t> out(tokens);
            Unwrap(file.Read(document, begin,
                             std::numeric_limits<int32_t>::max(),
                             absl::MakeSpan(out.mutable_data(), out.size())));
            return out;
          },
          py::arg("document"), py::arg("begin"), py::arg("tokens"),
          "So many tokens of a document from `begin` on, i32.")
      .def(
          "check_vocab",
          [](const TokenFile& file, int64_t vocab) {
            CheckVocab(vocab);
            return file.CheckVocab(vocab);
          },
          py::arg("vocab"), py::call_guard<py::gil_scoped_release>(),
          "Reads every token once; ValueError names the first outside.");
}

void BindLoader(CoreModule& m) {
  Class<Batch>(m, "Batch", "One rank's share of a step.")
      .def(py::init(&MakeBatch), py::arg("tokens"), py::arg("targets"),
           py::arg("device"), py::kw_only(), py::arg("samples") = py::none(),
           py::arg("step") = 0, py::arg("starts") = py::none(),
           "From integers [samples, context]; `samples` are their indices in "
           "the run, of which dropout depends. `starts`: of each token the "
           "place in its row where its document begins; None: rows are one "
           "document each.")
      .def_readonly("step", &Batch::step,
                    "The step that it is for, counted from 0.")
      .def_property_readonly(
          "tokens", [](const Batch& b) { return Variable(b.tokens); },
          "i32 [samples, context].")
      .def_property_readonly(
          "targets", [](const Batch& b) { return Variable(b.targets); },
          "i32 [samples, context]: the token after each.")
      .def_property_readonly(
          "samples", [](const Batch& b) { return Variable(b.samples); },
          "i64 [samples]: their indices in the run.")
      .def_property_readonly(
          "starts",
          [](const Batch& b) -> std::optional<Variable> {
            if (!b.starts.defined()) return std::nullopt;
            return Variable(b.starts);
          },
          "i32 [samples, context]: the place in its row where the document of "
          "each token begins; None: rows are one document each.");

  Class<Corpus, std::shared_ptr<Corpus>>(m, "Corpus",
                                         "Token files, blended by weight.")
      .def(py::init(
               [](const std::vector<std::pair<std::filesystem::path, double>>&
                      sources,
                  int64_t context, int64_t vocab, uint64_t seed, bool shuffled,
                  const std::string& documents) {
                 CheckVocab(vocab);
                 data::CorpusOptions options{
                     .context = context,
                     .vocab = vocab,
                     .seed = seed,
                     .order = shuffled ? data::SampleOrder::kSeeded
                                       : data::SampleOrder::kFixed,
                     .documents = DocumentsFromName(documents)};
                 for (const auto& [prefix, weight] : sources) {
                   options.sources.push_back({prefix.string(), weight});
                 }
                 return WithoutGil([&] {
                   return std::shared_ptr<Corpus>(
                       Unwrap(Corpus::Open(std::move(options))));
                 });
               }),
           py::arg("sources"), py::kw_only(), py::arg("context"),
           py::arg("vocab"), py::arg("seed"), py::arg("shuffled") = true,
           py::arg("documents") = "auto",
           "`sources` are pairs of prefix and weight; without `shuffled` the "
           "samples are the same whatever the seed (validation). `documents`: "
           "joined, separate (packed, none sees another), or auto: separate "
           "where the sources have masks; or pairs: documents 2k and 2k + 1 "
           "are a row, the answer that was preferred and the other one.")
      .def_property_readonly("separate", &Corpus::separate,
                             "Whether documents are packed.")
      .def_property_readonly("trained", &Corpus::trained,
                             "Tokens that masks do not leave out.")
      .def_property_readonly(
          "split_documents", &Corpus::SplitDocuments,
          "Documents longer than a row, where they are separate.")
      .def_property_readonly(
          "left_out_pairs", &Corpus::LeftOutPairs,
          "Pairs that are longer than a row, or with nothing to train.")
      .def(
          "write_reference",
          [](const Corpus& corpus, const std::filesystem::path& path,
             const std::string& bound_to) {
            return data::WritePairReference(path.string(), corpus.reference(),
                                            bound_to);
          },
          py::arg("path"), py::kw_only(), py::arg("bound_to"),
          py::call_guard<py::gil_scoped_release>(),
          "Writes what `measure_reference` found; `bound_to` says of what.")
      .def(
          "read_reference",
          [](Corpus& corpus, const std::filesystem::path& path,
             const std::string& bound_to) -> absl::Status {
            EISBACH_ASSIGN_OR_RETURN(
                data::PairReference reference,
                data::ReadPairReference(path.string(), bound_to));
            return corpus.SetReference(std::move(reference));
          },
          py::arg("path"), py::kw_only(), py::arg("bound_to"),
          py::call_guard<py::gil_scoped_release>(),
          "Takes what was written; ValueError where it is damaged, or bound to "
          "something else.")
      .def_property_readonly("tokens", &Corpus::tokens, "In all files.")
      .def_property_readonly("epoch_samples", &Corpus::EpochSamples,
                             "Samples until every file has been read once.")
      .def_property_readonly(
          "source_samples",
          [](const Corpus& corpus) {
            std::vector<int64_t> samples;
            for (int i = 0; i < corpus.sources(); ++i) {
              samples.push_back(corpus.SourceSamples(i));
            }
            return samples;
          },
          "The same of each file.")
      .def("check_vocab", &Corpus::CheckVocab,
           py::call_guard<py::gil_scoped_release>(),
           "Reads every token once; ValueError names the first outside.");

  Class<DataLoader>(m, "DataLoader",
                    "Batches in the order of steps, read ahead by a "
                    "thread; the same samples for every layout.")
      .def(py::init([](std::shared_ptr<Corpus> corpus, int64_t global_batch,
                       int data_rank, int data_size, int prefetch) {
             return Unwrap(DataLoader::Make(std::move(corpus),
                                            {.global_batch = global_batch,
                                             .dp_rank = data_rank,
                                             .dp_size = data_size,
                                             .prefetch = prefetch}));
           }),
           py::arg("corpus"), py::kw_only(), py::arg("global_batch"),
           py::arg("data_rank") = 0, py::arg("data_size") = 1,
           py::arg("prefetch") = 2)
      .def(
          "next",
          [](DataLoader& loader, Device& device) {
            return loader.Next(device.compute_stream());
          },
          py::arg("device"), py::call_guard<py::gil_scoped_release>(),
          "The batch of `step`; waits until it has been read.")
      .def("seek", &DataLoader::Seek, py::arg("step"),
           py::call_guard<py::gil_scoped_release>(),
           "Goes on with the batch of a step, counted from 0.")
      .def_property_readonly(
          "step", &DataLoader::step,
          "Of the batch that `next` returns, counted from 0.")
      .def_property_readonly("samples_per_rank", &DataLoader::samples_per_rank,
                             "Of a batch.");
}

}  // namespace

void BindData(CoreModule& m) {
  BindTokenFiles(m);
  BindLoader(m);
  m.def(
      "file_content",
      [](const std::filesystem::path& path,
         const std::filesystem::path& cache) {
        const data::FileContent content = WithoutGil([&] {
          return Unwrap(data::ReadContent(path.string(), cache.string()));
        });
        return absl::StrCat(content.bytes, " bytes, xxh64 ",
                            HashText(content.hash));
      },
      py::arg("path"), py::arg("cache"),
      "What is in a file, in words that are equal for equal bytes alone. The "
      "folder `cache` remembers it until the file changes.");
}

}  // namespace eisbach::bindings
