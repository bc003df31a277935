import pytest

from eisbach.checkpoint.importing import import_model
from eisbach.config import load_config, resolve


def test_nothing_is_replaced(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="run exists, and a run folder is"):
        import_model(tmp_path, resolve(load_config(None, [])), tmp_path / "run")
