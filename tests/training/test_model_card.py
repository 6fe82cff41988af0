"""The page of a pre-trained model says what it was trained on, and as what it is found."""

from pathlib import Path

import pytest
from small_runs import small_config

from bertsmith.batches.pretraining import Cursor
from bertsmith.text.token_store import TokenStore
from bertsmith.training.checkpoint import TrainingState
from bertsmith.training.loop import Position
from bertsmith.training.model_card import model_card
from bertsmith.training.network import network_config
from bertsmith.training.run import Run, fingerprints


def card_of(folder: Path, **changes: object) -> str:
    config = small_config(folder, Path("run"), **changes)
    store = TokenStore.open(folder)
    run = Run(config.out, config, "float32", fingerprints(store))
    state = TrainingState(Position(Cursor(), 10, 60.0), 5000)
    return model_card(run, network_config(config, store.tokenizer), store, state, None, 12345)


def test_every_phase_has_a_row(store):
    card = card_of(store)
    assert "| batch, phase 1 (40 %) | 24 sequences of 32 tokens at most, 15 % to guess |\n" in card
    assert "| batch, phase 2 (30 %) | 24 sequences of 32 tokens at most, 30 % to guess |\n" in card
    assert "| batch, phase 3 (30 %) | 24 sequences of 64 tokens at most, 15 % to guess |\n" in card
    one = card_of(store, data={"phases": [{"share": 1.0}], "masking_rate": 0.2})
    assert "| batch | 24 sequences of 32 tokens at most, 20 % to guess |\n| held-out" in one


NEXT = {"objective": "next", "next_sentence": False, "phases": [{"share": 1.0}]}


@pytest.mark.parametrize(
    ("tags", "changes"),
    [
        ("bert, masked-language-model, next-sentence-prediction", {}),
        ("bert, masked-language-model", {"data": {"next_sentence": False}}),
        ("bert, causal-language-model", {"data": NEXT}),
        ("gpt, causal-language-model", {"data": NEXT | {"special_pieces": False}, "model": {"network": "gpt"}}),
    ],
)
def test_a_model_is_found_by_what_it_has_learnt(store, tags, changes):
    card = card_of(store, **changes)
    assert f"\ntags: [{tags}, bertsmith]\n" in card
    assert ("next sentence prediction" in card) == ("next-sentence-prediction" in tags)
    assert ("% to guess" in card) == ("masked" in tags)
