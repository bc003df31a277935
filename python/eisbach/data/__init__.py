"""From text to token files: tokenizers, the embedded corpus, preparation."""
