"""From a folder of 1 GiB to a model that is ready, against transformers.

Both load the same folder in its own type, in turn, in a process of their own:
ours as the frozen base of adapters. Prints seconds, peaks of memory less what
an empty process of each holds, and the ratios:

    python benchmarks/import_model.py
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from children import peak_of
from hf_folder import LARGE, SMALL, make_llama

HERE = Path(__file__).parent
_OURS = """
import json, sys, time
from eisbach import _C
from eisbach.config import load_config, resolve
from eisbach.core_config import complete, engine_config, make_mesh
from eisbach.export.load import load_weights
from eisbach.world import init
began = time.perf_counter()
keys = [f"model.from={sys.argv[1]}", "adapter={rank: 1, targets: [query]}"]
keys += ["model.context=256", "precision.compute=bf16"]
config = complete(resolve(load_config(None, keys)))
world = init()
context = _C.ParallelContext(world, make_mesh(config, 1))
engine = _C.Engine(engine_config(config), context)
load_weights(engine, config, None, world)
print(json.dumps({"seconds": time.perf_counter() - began}))
"""


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        made = {"large": LARGE, "small": {**SMALL, "num_hidden_layers": 1}}
        for name, sizes in made.items():
            make_llama(Path(home, name), sizes, "bfloat16")
        size = {
            name: Path(home, name, "model.safetensors").stat().st_size
            for name in made
        }

        def run(program: str, name: str) -> tuple[float, int]:
            path = str(Path(home, name))
            command = [sys.executable, "-c", _OURS, path]
            if program != "eisbach":
                command = [sys.executable, str(HERE / "peers/hf_finetune.py")]
                command += [path, "--steps", "0", "--dtype", "bf16"]
            output, peak = peak_of(command)
            return json.loads(output.strip().split("\n")[-1])["seconds"], peak

        programs = ("eisbach", "transformers")
        found = {
            (program, name): []
            for program in programs for name in made
        }  # fmt: skip
        for _ in range(args.rounds):
            for key in found:
                found[key].append(run(*key))
        seconds, extra = {}, {}
        for program in programs:
            seconds[program] = statistics.median(
                it[0] for it in found[program, "large"]
            )
            peaks = {n: max(it[1] for it in found[program, n]) for n in made}
            grown = peaks["large"] - peaks["small"]
            extra[program] = grown / (size["large"] - size["small"])
        ratio = seconds["transformers"] / seconds["eisbach"]
        print(
            f"{size['large'] >> 20} MiB: "
            + "; ".join(
                f"{it} {seconds[it]:.2f} s, {extra[it]:.2f} x the model in "
                "memory"
                for it in programs
            )
            + f"; speed ratio {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
