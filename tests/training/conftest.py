"""A small real store, and a run on it."""

from pathlib import Path

import pytest
from small_runs import make_store, small_config

from bertsmith.training.configuration import PretrainConfig


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    return make_store(tmp_path_factory.mktemp("training") / "store")


@pytest.fixture
def config(store, tmp_path) -> PretrainConfig:
    """Ten steps of a network of two layers of 32; batches of 24 in micro-batches of 10, both lengths."""
    return small_config(store, tmp_path / "run")
