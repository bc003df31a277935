"""Hands a model to the Hugging Face ecosystem; a family a file."""

from eisbach.export.folder import export_model, import_parameters

__all__ = ["export_model", "import_parameters"]
