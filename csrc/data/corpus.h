#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "data/document_order.h"
#include "data/pair_reference.h"
#include "data/pair_rows.h"
#include "data/row_packing.h"
#include "data/sampler.h"
#include "data/token_file.h"

namespace eisbach::data {

struct SourceOptions {
  std::string prefix;  // of the .bin and .idx files
  double weight;       // share of the samples, relative to other sources
};

// How documents become rows.
enum class Documents : uint8_t {
  kAuto,      // separate where the sources have masks, else joined
  kJoined,    // one after another in a stream that rows are cut from
  kSeparate,  // packed into rows in which none sees another (RowPacking)
  kPairs,     // two a row, answers of which one was preferred (PairRows)
};

struct CorpusOptions {
  std::vector<SourceOptions> sources;
  int64_t context;  // tokens a sample, without the one after
  int64_t vocab;    // ids are in [0, vocab)
  uint64_t seed;
  SampleOrder order;
  Documents documents = Documents::kAuto;
};

// Where a sample is written; each is `context` long.
struct SampleSpans {
  absl::Span<int32_t> tokens;
  absl::Span<int32_t> targets;  // the token after each; -1: not trained
  absl::Span<int32_t> starts;   // of separate documents; joined ones: empty
  // Of pairs with a reference: kPairNumbers; else empty.
  absl::Span<double> reference = {};
};

// Token files, blended: sample by global index. Which tokens a sample holds
// depends on the files, their weights, context, seed and index alone.
//
// Joined, an epoch of a source gives (tokens - 1) / context samples, at
// multiples of context in its documents as the epoch orders them: neighbours
// share one token, which is target to one and input to the other. The tokens
// after the last whole sample are left out, others in each epoch since the
// order of documents differs. Separate, its samples are the rows of RowPacking.
class Corpus {
 public:
  // InvalidArgument when two sources are one file, by whatever names, when one
  // is shorter than a sample, or when only some have masks and `documents` is
  // kAuto.
  static absl::StatusOr<std::unique_ptr<Corpus>> Open(CorpusOptions options);

  int64_t context() const { return options_.context; }
  bool separate() const { return separate_; }  // so are pairs
  int64_t tokens() const;                      // of all sources
  int64_t trained() const;  // of these, those that masks do not leave out
  int64_t SplitDocuments() const;  // longer than a row; joined: 0
  int64_t LeftOutPairs() const;    // PairRows; none of others
  int64_t EpochSamples() const;    // of all sources, each taken once through
  int64_t SourceSamples(int source) const {  // of one, once through
    return sampler_->EpochSamples(source);
  }

  int sources() const { return static_cast<int>(files_.size()); }
  bool pairs() const { return options_.documents == Documents::kPairs; }
  // Of pairs: how many a source has, and one of them by its row; without a
  // reference.
  int64_t Pairs(int source) const { return pairs_[source].rows(); }
  absl::Status ReadPair(int source, int64_t row, const SampleSpans& out) const;
  // What a reference thinks of all pairs, which come with their samples from
  // then on. Before anybody reads samples. InvalidArgument where there are
  // other pairs.
  absl::Status SetReference(PairReference reference);
  const PairReference& reference() const { return reference_; }

  // Writes a sample. Thread-safe. OutOfRange when a token is outside the
  // vocabulary, or when a file was cut short since Open.
  absl::Status Read(int64_t sample, const SampleSpans& out) const;

  // Checks every token of every source against the vocabulary.
  absl::Status CheckVocab() const;

 private:
  Corpus(CorpusOptions options, bool separate, std::vector<TokenFile> files);

  absl::StatusOr<int64_t> MakeRows(int source);  // returns their number
  absl::Status ReadRow(const SamplePlace& place, const SampleSpans& out) const;
  absl::Status ReadJoined(const SamplePlace& place,
                          const SampleSpans& out) const;

  std::shared_ptr<const DocumentOrder> Order(int source, int64_t epoch) const;

  // The orders used last, newest first: at the end of an epoch samples of two
  // epochs alternate.
  struct CachedOrder {
    int64_t epoch;
    std::shared_ptr<const DocumentOrder> order;
  };

  const CorpusOptions options_;
  const bool separate_;
  const std::vector<TokenFile> files_;
  std::vector<RowPacking> packings_;  // one a source, where separate
  std::vector<PairRows> pairs_;       // one a source, where they are pairs
  PairReference reference_;           // or empty
  std::optional<Sampler> sampler_;    // set by Open
  mutable std::mutex mutex_;
  mutable std::vector<std::deque<CachedOrder>> orders_;  // one list a source
};

}  // namespace eisbach::data
