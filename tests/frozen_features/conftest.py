"""A small encoder on disk, with a vocabulary of letters."""

import pytest
import torch

from bertsmith.core.artefact import stage_artefact
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.text.tokenizer import Tokenizer


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """A model folder as `pretrain` leaves it; five layers, all of them different."""
    words = ["the", "cat", "sat", "on", "mat", "dog", "run"]
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer([*pieces, ".", ","])
    config = BertConfig(
        vocab_size=tokenizer.vocabulary_size,
        hidden_size=256,
        num_hidden_layers=5,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=32,
        initializer_range=0.06,
    )
    model = BertForPreTraining(config)
    initialise(model, "normal", seed=0)
    folder = tmp_path_factory.mktemp("models") / "encoder"
    with stage_artefact(folder, kind="model", command="test", configuration={}) as staging:
        save_model(model, staging.folder, tokenizer, model_card="A test.\n")
    return folder
