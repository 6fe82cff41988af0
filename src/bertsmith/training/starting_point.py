"""Where a run starts or goes on: new weights, a model folder, or a checkpoint."""

import time
from pathlib import Path
from typing import Any

import torch

from bertsmith.batches.pretraining import Cursor
from bertsmith.core.errors import MismatchedArtefact
from bertsmith.model.cooccurrence import DISTANCES
from bertsmith.model.folder_configuration import load_config, load_tokenizer, resolve_model_folder
from bertsmith.model.initialisation import InitialisationScheme, initialise
from bertsmith.model.weight_files import open_weight_files
from bertsmith.text.pair_counts import TextCounts, count_text
from bertsmith.text.token_store import TokenStore
from bertsmith.training.checkpoint import TrainingState, load_state
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.loop import Position
from bertsmith.training.network import PretrainedNetwork, load_network, network_config, new_network
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.run import Run


def load_starting_point(
    run: Run, store: TokenStore, checkpoint: Path | None, device: torch.device
) -> tuple[PretrainedNetwork, Optimiser, TrainingState]:
    """The network, its optimiser and the position: of a checkpoint, of --init, or new.

    The clock of a new run begins before its weights are made: what is counted in the text for them is part of the cost.
    """
    started = time.monotonic()
    config = run.config
    if checkpoint is not None:
        model = load_network(config, checkpoint)
    elif config.init is not None:
        require_same_vocabulary(config.init, store)
        model = load_network(config, config.init)
    else:
        model = new_network(config, store)
        initialise(model, config.model.initialisation, config.seed, counts_for(config.model.initialisation, store))
    optimiser = Optimiser(model.to(device), config.training, getattr(torch, run.precision))
    if checkpoint is not None:
        return model, optimiser, load_state(checkpoint, optimiser)
    start = Position(Cursor(), elapsed_seconds=time.monotonic() - started)
    return model, optimiser, TrainingState(start, tokens_seen=0)


def require_starting_point(config: PretrainConfig, store: TokenStore) -> None:
    """Refuse a network that cannot be, or an --init that cannot be used, while there is no run folder yet.

    Of the weights only the heads of their files are read: all of them are when training begins.
    """
    network = network_config(config, store.tokenizer)
    if config.init is not None:
        require_same_vocabulary(config.init, store)
        family: type[Any] = type(network)
        load_config(family, config.init)
        with open_weight_files(resolve_model_folder(config.init), network.weight_names.plain):
            pass


def counts_for(scheme: InitialisationScheme, store: TokenStore) -> TextCounts | None:
    """What a scheme of initial values has to know of the text; counting pairs takes some seconds."""
    if scheme == "normal":
        return None
    return count_text(store, DISTANCES if scheme == "cooccurrence" else 0)


def require_same_vocabulary(model_folder: Path, store: TokenStore) -> None:
    """Refuse a model that was trained with another vocabulary than the store's."""
    model, text = load_tokenizer(model_folder).fingerprint, store.tokenizer.fingerprint
    if model != text:
        raise MismatchedArtefact(
            f"The model {model_folder} has the vocabulary {model[:16]}..., the token store {store.folder} "
            f"has {text[:16]}... Prepare the text with the model's vocabulary."
        )
