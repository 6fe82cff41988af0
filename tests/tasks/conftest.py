"""What the tests of this room share: where the real data lies, and a small vocabulary."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from bertsmith.core.artefact import stage_artefact
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.text.tokenizer import Tokenizer

WORDS = (
    "the a film is was very not good bad great awful dull fine cat dog man sat ran on mat and it we saw ##s ##ed ##ing"
)
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *WORDS.split(),
    *"abcdefghijklmnopqrstuvwxyz.,!?'0123456789"[1:],
]


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer(PIECES)


@pytest.fixture
def real_glue():
    folder = Path(os.environ.get("BERTSMITH_DATA", Path.home() / ".cache/bertsmith-data")) / "glue"
    if not folder.is_dir():
        pytest.skip(f"the real GLUE files are not here: {folder} (set BERTSMITH_DATA)")
    return folder


@pytest.fixture(scope="session")
def tiny_config():
    def configure(tokenizer, **settings):
        shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        return BertConfig(vocab_size=tokenizer.vocabulary_size, max_position_embeddings=64, **(shape | settings))

    return configure


@pytest.fixture(scope="session")
def pretrained(tokenizer, tiny_config, tmp_path_factory):
    """A model folder as `pretrain` leaves it, with initial weights."""
    model = BertForPreTraining(tiny_config(tokenizer))
    initialise(model, "normal", seed=1)
    folder = tmp_path_factory.mktemp("run") / "model"
    with stage_artefact(folder, kind="model", command="pretrain", configuration={}) as staging:
        save_model(model, staging.folder, tokenizer, model_card="# tiny\n")
    return folder


@pytest.fixture(scope="session")
def reviews(tmp_path_factory):
    """A task that can be learnt in seconds: a review is good if it has more good words than bad ones."""
    folder = tmp_path_factory.mktemp("reviews")
    random = np.random.default_rng(0)
    for part, count in (("train", 400), ("dev", 100)):
        rows = ["text\tlabel"]
        for index in range(count):
            kind = ("good", "great", "fine") if index % 2 else ("bad", "awful", "dull")
            words = [
                *random.choice(["the", "film", "is", "very", "a"], size=random.integers(2, 6)),
                random.choice(kind),
            ]
            rows.append(f"{' '.join(random.permutation(words))}\t{'good' if index % 2 else 'bad'}")
        (folder / f"{part}.tsv").write_text("\n".join(rows) + "\n")
    return folder
