#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "data/document_order.h"
#include "data/sampler.h"
#include "data/token_file.h"

namespace eisbach::data {

struct SourceOptions {
  std::string prefix;  // of the .bin and .idx files
  double weight;       // share of the samples, relative to other sources
};

struct CorpusOptions {
  std::vector<SourceOptions> sources;
  int64_t context;  // tokens a sample, without the one after
  int64_t vocab;    // ids are in [0, vocab)
  uint64_t seed;
  SampleOrder order;
};

// Token files, blended: sample by global index. Which tokens a sample holds
// depends on the files, their weights, context, seed and index alone.
class Corpus {
 public:
  // InvalidArgument when two sources are one file, by whatever names.
  static absl::StatusOr<std::unique_ptr<Corpus>> Open(CorpusOptions options);

  int64_t context() const { return options_.context; }
  int64_t tokens() const;        // of all sources
  int64_t EpochSamples() const;  // of all sources, each taken once through

  // Copies a sample's context + 1 tokens. Thread-safe. OutOfRange when one is
  // outside the vocabulary, or when a file was cut short since Open.
  absl::Status Read(int64_t sample, absl::Span<int32_t> tokens) const;

  // Checks every token of every source against the vocabulary.
  absl::Status CheckVocab() const;

 private:
  Corpus(CorpusOptions options, std::vector<TokenFile> files, Sampler sampler);

  std::shared_ptr<const DocumentOrder> Order(int source, int64_t epoch) const;

  // The orders used last, newest first: at the end of an epoch samples of two
  // epochs alternate.
  struct CachedOrder {
    int64_t epoch;
    std::shared_ptr<const DocumentOrder> order;
  };

  const CorpusOptions options_;
  const std::vector<TokenFile> files_;
  const Sampler sampler_;
  mutable std::mutex mutex_;
  mutable std::vector<std::deque<CachedOrder>> orders_;  // one list a source
};

}  // namespace eisbach::data
