"""Hands a model to other programs, and takes theirs; a family a file."""

from eisbach.export.folder import export_model
from eisbach.export.gguf_file import write_gguf
from eisbach.export.reading import ModelFolder, read_model

__all__ = ["ModelFolder", "export_model", "read_model", "write_gguf"]
