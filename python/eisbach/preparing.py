"""Text that a run prepares itself: once on each host, before its first step."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from eisbach.data.sources import Located, locate
from eisbach.run.agreement import spell

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.config import Config
    from eisbach.data.tokenizer import Tokenizer


def prepare_on_hosts(
    config: Config,
    tokenizer: Tokenizer,
    world: _C.World,
    locations: list[_C.RankLocation],
) -> Located:
    """Finds the token files of a run on all ranks; collective.

    The first rank of each host prepares what is text while the others wait:
    rank 0 before those of other hosts, which often see the same files.

    Raises:
      ValueError: On every rank, what went wrong on one.
    """
    leaders = {
        at.host: rank for rank, at in reversed(list(enumerate(locations)))
    }
    mine = leaders[locations[world.rank].host]
    told = ""
    if world.rank == 0:
        told = _told(config, tokenizer)
    first = world.broadcast(told)
    if mine == world.rank != 0 and "error" not in json.loads(first):
        told = _told(config, tokenizer)
    found = {}
    for leader in sorted(leaders.values()):
        found[leader] = json.loads(world.broadcast(told, root=leader))
        if "error" in found[leader]:
            raise ValueError(found[leader]["error"])
    own = found[mine]
    return Located(
        [tuple(named) for named in own["train"]],
        own["validation"] and [tuple(named) for named in own["validation"]],
    )


def _told(config: Config, tokenizer: Tokenizer) -> str:
    try:
        return json.dumps(asdict(locate(config, tokenizer, say=_say)))
    except (OSError, ValueError) as error:
        return json.dumps({"error": spell(error)})


def _say(line: str) -> None:
    print(line, flush=True)
