"""The families of models, by our name and by that of `config.json`."""

from eisbach.export import gpt2, llama

FAMILIES = {"gpt": gpt2, "llama": llama}
BY_MODEL_TYPE = {family.MODEL_TYPE: family for family in FAMILIES.values()}
