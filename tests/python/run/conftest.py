"""Hosts that are made up, on which a job can lose one."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from hosts.network import Hosts, missing


@pytest.fixture
def hosts():
    """Two hosts; the test fails where there can be none."""
    if absent := missing():
        pytest.fail(f"no command {', '.join(absent)}: apt-get install iproute2")
    try:
        with Hosts() as made:
            yield made
    except OSError as error:
        pytest.fail(
            "no network namespaces of its own (they need root or "
            f"CAP_SYS_ADMIN): {error}"
        )
