"""Sick and healthy patients: small real stores, and small real runs on them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import LEARNS_FROM_NEIGHBOURS, WORDS, make_chain_store, small_config, write_store

from bertsmith.text.token_store import TokenStore
from bertsmith.training.pretraining import pretrain


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def chain_store(tmp_path_factory) -> TokenStore:
    """Neighbours all but determine a word."""
    return TokenStore.open(make_chain_store(tmp_path_factory.mktemp("chain") / "store"))


@pytest.fixture(scope="session")
def shuffled_store(tmp_path_factory) -> TokenStore:
    """Words in no order; no sentence twice."""
    random = np.random.default_rng(1)
    documents = [
        [random.integers(len(WORDS), size=random.integers(6, 12)).tolist() for _ in range(8)] for _ in range(300)
    ]
    return TokenStore.open(write_store(tmp_path_factory.mktemp("shuffled") / "store", documents))


@pytest.fixture(scope="session")
def learnt_run(chain_store, tmp_path_factory) -> Path:
    """A run that leaves the plateau, with its heads at the neighbours."""
    out = tmp_path_factory.mktemp("learnt") / "run"
    pretrain(small_config(chain_store.folder, out, **LEARNS_FROM_NEIGHBOURS))
    return out


@pytest.fixture(scope="session")
def stuck_run(chain_store, tmp_path_factory) -> Path:
    """A run that begins with normal weights and ends long before it has found its neighbours."""
    out = tmp_path_factory.mktemp("stuck") / "run"
    changes = {"training": {"steps": 120, "learning_rate": 4e-3, "bias_correction": True}}
    pretrain(small_config(chain_store.folder, out, **_quiet(changes)))
    return out


@pytest.fixture(scope="session")
def wild_run(chain_store, tmp_path_factory) -> Path:
    """A run with a learning rate that is far too high."""
    out = tmp_path_factory.mktemp("wild") / "run"
    changes = {"training": {"steps": 120, "learning_rate": 0.5, "bias_correction": True}}
    pretrain(small_config(chain_store.folder, out, **_quiet(changes)))
    return out


def _quiet(changes: dict) -> dict:
    runtime = {"checkpoint_steps": 1000, "evaluations": 4, "evaluation_sequences": 64, "precision": "float32"}
    data = {"phases": [{"share": 1.0}], "batch_size": 16}
    return {"data": data, "runtime": runtime | {"micro_batch_size": 16}} | changes
