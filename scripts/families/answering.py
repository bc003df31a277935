"""Continues token ids by llama.cpp: `python answering.py FILE < ASKED`.

ASKED is a JSON object with `prompt`, token ids, `tokens`, how many follow, and
`texts`. Printed is one with `said`, of each token its `id`, its `logprob`, and
the same of the likeliest ones as `top_logprobs`; and `spelled`, the token ids
of each text. A process of its own, since llama.cpp ends the one in which it
fails.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

import xllamacpp


def post(address: str, request: dict[str, Any]) -> dict[str, Any]:
    """Asks the server."""
    with urllib.request.urlopen(
        urllib.request.Request(
            address,
            json.dumps(request).encode(),
            {"Content-Type": "application/json"},
        )
    ) as answer:
        return json.load(answer)


def main() -> None:
    """Answers once."""
    asked = json.load(sys.stdin)
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx = 256
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.warmup = False
    params.cpuparams.n_threads = 1
    # As exact as it gets.
    params.cache_type_k = params.cache_type_v = (
        xllamacpp.ggml_type.GGML_TYPE_F32
    )
    params.flash_attn_type = (
        xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    server = xllamacpp.Server(params)
    request = {
        "prompt": asked["prompt"],
        "n_predict": asked["tokens"],
        "temperature": 0,
        "n_probs": 8,
        "cache_prompt": False,
    }
    home = server.listening_address
    said = post(f"{home}/completion", request)["completion_probabilities"]
    spelled = [
        post(f"{home}/tokenize", {"content": text, "add_special": False})
        for text in asked["texts"]
    ]
    print(
        json.dumps(
            {"said": said, "spelled": [one["tokens"] for one in spelled]}
        )
    )


if __name__ == "__main__":
    main()
