import pytest

from eisbach.config import load_config
from eisbach.precision import choose_precision


@pytest.mark.parametrize(
    ("features", "compute", "reason"),
    [
        ([], "f32", "neither AVX512-BF16 nor AMX"),
        (["avx2", "avx512f"], "f32", "neither"),
        (["asimd", "sve2", "bf16"], "f32", "on aarch64"),
        (["avx512f", "avx512_bf16"], "bf16", "AVX512-BF16"),
        (["avx512_bf16", "amx_bf16"], "bf16", "AVX512-BF16, AMX"),
    ],
)
def test_auto_follows_the_cpu(features, compute, reason):
    config = choose_precision(load_config(), features)
    assert config.precision.compute == compute
    assert reason in config.origin("precision.compute")


def test_what_is_asked_for_is_kept():
    config = load_config(None, ["precision.compute=f32"])
    assert choose_precision(config, ["amx_bf16"]) is config


def test_gpus_multiply_bf16():
    config = choose_precision(load_config(None, ["run.device=cuda"]), [])
    assert config.precision.compute == "bf16"
    assert "cuda" in config.origin("precision.compute")
