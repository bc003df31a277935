"""What a training run is made of, on one rank: ranks, engine, data, folder."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eisbach.config import Config
from eisbach.config.tree import COMMAND_LINE
from eisbach.core_config import complete
from eisbach.data.content import shared_contents
from eisbach.data.new_tokens import KEYS, NewTokens
from eisbach.data.rules import store_tokenizer, stored_tokenizer
from eisbach.data.sources import (
    Located,
    Mixture,
    documents_of,
    mixture,
    run_tokenizer,
)
from eisbach.data.tokenizer import Tokenizer
from eisbach.export.keeping import keep_carried
from eisbach.export.load import base_content, load_weights
from eisbach.files import make_folder
from eisbach.fitting import fit, on_ranks
from eisbach.preparing import prepare_on_hosts
from eisbach.run.agreement import agreed
from eisbach.run.folder import RunFolder, check_home
from eisbach.run.parent import write_parent
from eisbach.run.reference import PairReference
from eisbach.run.restarts import begun_here
from eisbach.run.resume import (
    Resumption,
    begin,
    choose,
    fork,
    load_checkpoint,
)
from eisbach.watching import watch, watch_stragglers
from eisbach.world import init

if TYPE_CHECKING:
    from eisbach import _C


@dataclass
class Job:
    """One rank's parts of a run.

    Attributes:
      config: With no `auto` that a rank or a machine decides.
      world: All ranks.
      locations: Where each of them runs.
      network: What moves bytes between them, a line an axis.
      engine: This rank's stage of the model.
      tokenizer: Of the run.
      sources: What it trains on.
      corpus: Their samples.
      train: Batches of this rank.
      validation: Batches of this rank, always the same; None for none.
      bytes_per_token: Of the validation text; None where it does not tell.
      first: Steps done before this run, from which it resumes.
      finished: Whether it resumes a run of which nothing is left to do.
      folder: Where the run writes; rank 0 alone does.
      load_seconds: What it took to load the checkpoint that it resumes from;
        None where there is none.
      identity: What must be the same for a run to go on with a checkpoint of
        this one: a JSON object.
    """

    config: Config
    world: _C.World
    locations: list[_C.RankLocation]
    network: str
    engine: _C.Engine
    tokenizer: Tokenizer
    sources: Mixture
    corpus: _C.Corpus
    train: _C.DataLoader
    validation: _C.DataLoader | None
    bytes_per_token: float | None
    first: int
    finished: bool
    folder: RunFolder
    load_seconds: float | None
    identity: str

    @property
    def lag(self) -> int:
        """Steps that may wait to be collected.

        One where the device need then not wait for the host between two.
        """
        return int(not self.engine.device.runs_inline)

    @property
    def context(self) -> _C.ParallelContext:
        """The mesh and this rank's place in it."""
        return self.engine.context


def set_up(
    config: Config,
    *,
    resume: RunFolder | None = None,
    parent: RunFolder | None = None,
    auto_resume: bool = False,
) -> Job:
    """Joins the ranks and makes everything of a run; collective.

    What does not fit is found before anything is allocated.

    Args:
      config: Resolved, the vocabulary apart.
      resume: Folder of an earlier run to go on with, which rank 0 holds; None
        makes a new one.
      parent: Run whose checkpoint a new one begins with; None for initial
        weights. Nothing is written there.
      auto_resume: Whether to go on with the last run of this name (and of this
        parent), if it has a checkpoint; a damaged one is put aside where an
        older one loads.

    Raises:
      ValueError: Sizes or ranks do not fit, the network is not what the
        configuration requires, or data is missing or damaged.
    """
    from eisbach import _C

    config = complete(config)
    world = init(
        device=config.run.device,
        threads=config.run.threads,
        interface=config.network.interface,
    )
    if config.fault.check_collectives:
        world.check_collectives()
    watched = watch(
        world,
        hang_seconds=config.fault.hang_seconds,
        checks_calls=config.fault.check_collectives,
        interface=config.network.interface,
    )
    locations = _C.gather_locations(world)
    if auto_resume:
        resume = _earlier(config, world, parent)
    try:
        # A run that is started again and again goes on with what is whole.
        forgives = auto_resume or (resume is not None and begun_here(resume))
        job = _set_up(
            config, world, locations, resume, parent, forgives=forgives
        )
    except BaseException:
        if auto_resume and resume:
            resume.release()
        raise
    if watched:
        watched.write_to(str(job.folder.hangs))
    return job


def _set_up(
    config: Config,
    world: _C.World,
    locations: list[_C.RankLocation],
    resume: RunFolder | None,
    parent: RunFolder | None,
    *,
    forgives: bool,
) -> Job:
    from eisbach import _C

    with agreed(world):
        tokenizer = _tokenizer(config, resume, parent)
        if world.rank == 0 and not resume:
            check_home(config.run.dir)
            if parent:
                RunFolder.open(parent.path)
        if resume or _is_told_by(parent, config, "parallel.data"):
            config = on_ranks(config, world.size)
        found = fit(config, world.size, locations=locations)
    config = found.config
    context = _C.ParallelContext(world, found.mesh)
    network = _C.check_requirements(
        context, locations, **config.network.model_dump(exclude={"interface"})
    )
    with _C.phase(world, "prepare"):
        files = prepare_on_hosts(config, tokenizer, world, locations)
    with agreed(world):
        train, validation = _mixtures(config, files)
        corpora = [
            _corpus(config, part, shuffled=part is train)
            for part in (train, validation)
        ]
    contents = shared_contents(world, train.prefixes)
    base = base_content(config, world) if config.adapter.rank else []
    identity = _identity(
        config,
        tokenizer,
        train,
        contents,
        base,
        separate=corpora[0].separate,
    )
    engine = _C.Engine(found.engine, context)
    resumed = _resumption(config, world, resume, parent)
    load_seconds = None
    # Checkpoints have no base of adapters.
    if config.adapter.rank or not resumed.checkpoint:
        alone = bool(resumed.checkpoint)
        load_weights(engine, config, tokenizer, world, base_alone=alone)
    if resumed.checkpoint:
        began = time.perf_counter()
        resumed = load_checkpoint(
            engine,
            resumed,
            identity,
            train.prefixes,
            world=world,
            forgives=forgives and resumed.parent is None,
        )
        load_seconds = time.perf_counter() - began
    reference = PairReference(config, corpora, identity)
    if resume and resumed.checkpoint:
        reference.read(resume.path)
    elif not resumed.finished:
        reference.measure(engine, tells=world.rank == 0)
    loaders = [_loader(config, corpus, engine) for corpus in corpora]
    loaders[0].seek(resumed.step)
    if not resumed.finished:
        engine.prepare_saves(
            asynchronous=config.checkpoint.asynchronous,
            bytes_per_second=config.checkpoint.max_mib_per_second * 2**20,
        )
    watch_stragglers(engine, config.fault.straggler_steps)
    folder = _folder(config, world, resume, parent, resumed, tokenizer)
    if world.rank == 0:
        reference.write(folder.path)
    return Job(
        config=config,
        world=world,
        locations=locations,
        network=network,
        engine=engine,
        tokenizer=tokenizer,
        sources=train,
        corpus=corpora[0],
        train=loaders[0],
        validation=loaders[1],
        bytes_per_token=validation and validation.bytes_per_token,
        first=resumed.step,
        finished=resumed.finished,
        folder=folder,
        load_seconds=load_seconds,
        identity=identity,
    )


def begin_save(job: Job) -> None:
    """Starts a checkpoint of the step done last; collective."""
    state = {"samples": job.train.step * job.config.train.global_batch}
    job.engine.begin_save(
        str(job.folder.checkpoints),
        config=job.identity,
        state=json.dumps(state),
    )


def _identity(
    config: Config,
    tokenizer: Tokenizer,
    train: Mixture,
    contents: list[dict[str, str]],
    base: list[str],
    *,
    separate: bool,
) -> str:
    """What the losses of a run depend on; of files their content, not names."""
    documents = {"data.documents": "separate"} if separate else {}
    preference = {}
    if config.train.objective != "next_token":
        preference = {
            "train.objective": config.train.objective,
            "dpo": config.dpo.model_dump(),
        }
    adapter = {}
    if config.adapter.rank:
        left_out = {"from"}
        if config.adapter.tokens in ("auto", []):
            left_out.add("tokens")
        adapter = {
            "adapter": config.adapter.model_dump(exclude=left_out),
            "model.from": base,
        }
    # Keys that checkpoints lack which were written before there were any.
    left_out = {"from"} if NewTokens.of(config.model) else {"from", *KEYS}
    return json.dumps(
        {
            "model": config.model.model_dump(exclude=left_out),
            "data.train": [
                {"weight": weight, **content}
                for weight, content in zip(train.weights, contents, strict=True)
            ],
            "data.tokenizer": tokenizer.digest,
            **documents,
            "optimizer.name": config.optimizer.name,
            "run.seed": config.run.seed,
            "train.global_batch": config.train.global_batch,
            **adapter,
            **preference,
        }
    )


def _tokenizer(
    config: Config, resume: RunFolder | None, parent: RunFolder | None
) -> Tokenizer:
    """A run that goes on has its own copy, unless it is given another.

    One that is forked takes that of its parent, unless its own configuration
    names one.
    """
    key = "data.tokenizer"
    origin = config.origin(key)
    if resume:
        given = origin == COMMAND_LINE
    else:
        given = origin != "default" and not _is_told_by(parent, config, key)
    folder = resume or parent
    if folder is None or given:
        return run_tokenizer(config)
    return run_tokenizer(config, stored_tokenizer(folder.tokenizer))


def _is_told_by(parent: RunFolder | None, config: Config, key: str) -> bool:
    """Whether a key has its value from the configuration of the parent."""
    return bool(parent) and config.origin(key).startswith(f"{parent.config}:")


def _mixtures(config: Config, files: Located) -> tuple[Mixture, Mixture | None]:
    train = mixture(config, "train", files.train)
    if files.validation is None:
        return train, None
    return train, mixture(config, "validation", files.validation)


def _corpus(
    config: Config, part: Mixture | None, *, shuffled: bool
) -> _C.Corpus | None:
    from eisbach import _C

    if part is None:
        return None
    return _C.Corpus(
        list(zip(part.prefixes, part.weights, strict=True)),
        context=config.model.context,
        vocab=config.model.vocab,
        seed=config.run.seed,
        shuffled=shuffled,
        documents=documents_of(config),
    )


def _loader(
    config: Config, corpus: _C.Corpus | None, engine: _C.Engine
) -> _C.DataLoader | None:
    from eisbach import _C

    if corpus is None:
        return None
    return _C.DataLoader(
        corpus,
        global_batch=config.train.global_batch,
        data_rank=engine.context.index("data"),
        data_size=engine.context.size("data"),
    )


def _earlier(
    config: Config, world: _C.World, parent: RunFolder | None
) -> RunFolder | None:
    """The last run of this name, held, if it has a checkpoint; rank 0 looks."""
    folder = None
    with agreed(world):
        if world.rank == 0:
            folder = RunFolder.last(
                config.run.dir, config.run.name, fork=parent
            )
        if folder:
            folder.hold()
            if not folder.saved() and not begun_here(folder):
                folder.release()
                folder = None
    path = world.broadcast(str(folder.path) if folder else "")
    return folder or (RunFolder(path) if path else None)


def _resumption(
    config: Config,
    world: _C.World,
    resume: RunFolder | None,
    parent: RunFolder | None,
) -> Resumption:
    """Rank 0 decides: a folder may look different from another host."""
    told = ""
    if world.rank == 0:
        if resume:
            resumed = choose(resume, config)
        else:
            resumed = fork(parent, config) if parent else Resumption()
        told = resumed.as_json()
    return Resumption.from_json(world.broadcast(told))


def _folder(
    config: Config,
    world: _C.World,
    resume: RunFolder | None,
    parent: RunFolder | None,
    resumed: Resumption,
    tokenizer: Tokenizer,
) -> RunFolder:
    if resume:
        if world.rank == 0 and not resumed.finished:
            begin(resume, config, resumed)
        return resume
    if world.rank != 0:
        return RunFolder(world.broadcast(""))
    folder = RunFolder.create(config.run.dir, config.run.name)
    try:
        folder.hold()
        if resumed.parent:
            write_parent(folder.parent_file, resumed.parent)
        make_folder(folder.tokenizer)
        store_tokenizer(folder.tokenizer, tokenizer)
        keep_carried(folder, config, tokenizer, parent)
        folder.write_config(config)
    except BaseException:
        folder.release()
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    world.broadcast(str(folder.path))
    return folder
