"""Where a run starts or goes on: new weights, a model folder, or a checkpoint."""

from pathlib import Path

import torch

from bertsmith.batches.pretraining import Cursor
from bertsmith.core.errors import MismatchedArtefact
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.folder import load_model, resolve_model_folder
from bertsmith.model.initialisation import initialise
from bertsmith.text.token_store import TokenStore
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.checkpoint import TrainingState, load_state
from bertsmith.training.loop import Position
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.run import Run


def load_starting_point(
    run: Run, store: TokenStore, checkpoint: Path | None, device: torch.device
) -> tuple[BertForPreTraining, Optimiser, TrainingState]:
    """The network, its optimiser and the position: of a checkpoint, of --init, or new."""
    config, tokenizer = run.config, store.tokenizer
    if checkpoint is not None:
        model = load_model(BertForPreTraining, checkpoint, seed=config.seed)
    elif config.init is not None:
        require_same_vocabulary(config.init, store)
        model = load_model(BertForPreTraining, config.init, seed=config.seed)
    else:
        model = BertForPreTraining(config.model.bert_config(tokenizer.vocabulary_size, tokenizer.pad_id))
        initialise(model, config.model.initialisation, seed=config.seed, token_counts=store.token_counts)
    optimiser = Optimiser(model.to(device), config.training, getattr(torch, run.precision))
    if checkpoint is not None:
        return model, optimiser, load_state(checkpoint, optimiser)
    return model, optimiser, TrainingState(Position(Cursor()), tokens_seen=0)


def require_same_vocabulary(model_folder: Path, store: TokenStore) -> None:
    """Refuse a model that was trained with another vocabulary than the store's."""
    model, text = Tokenizer.load(resolve_model_folder(model_folder)).fingerprint, store.tokenizer.fingerprint
    if model != text:
        raise MismatchedArtefact(
            f"The model {model_folder} has the vocabulary {model[:16]}..., the token store {store.folder} "
            f"has {text[:16]}... Prepare the text with the model's vocabulary."
        )
