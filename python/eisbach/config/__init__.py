"""Configuration: one file a section, each key declared once.

`load_config` reads a file strictly and remembers where each value is from;
`resolve` replaces what is `auto` and follows from the configuration alone.
"""

from eisbach.config.errors import ConfigError, Problem
from eisbach.config.load import as_config, load_config, make_config
from eisbach.config.resolve import resolve
from eisbach.config.root import Config, file_schema, schema

__all__ = [
    "Config",
    "ConfigError",
    "Problem",
    "as_config",
    "file_schema",
    "load_config",
    "make_config",
    "resolve",
    "schema",
]
