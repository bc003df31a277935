import pytest


def test_sizes_are_counted(make):
    engine = make.engine(family="llama", kv_heads=2, tie_embeddings=False)
    model = engine.config.model
    assert model.parameters == sum(v.size for v in engine.gather().values())
    tied = make.engine_config(family="gpt").model
    assert tied.parameters < model.parameters + tied.context * tied.hidden
    assert model.flops_per_token > 6 * 2 * model.hidden * model.hidden


def test_sizes_that_do_not_fit_name_the_key(make):
    with pytest.raises(ValueError, match=r"heads=5 .*\(model\.heads\)"):
        make.engine_config(heads=5, kv_heads=5)
    with pytest.raises(ValueError, match="bert"):
        make.engine_config(family="bert")
