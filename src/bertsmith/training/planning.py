"""A plan for a number of hours: which network, and which settings, end at the lowest held-out loss here.

A larger network learns more from each token and sees fewer of them. Which one is ahead at the end depends on how many
tokens this machine trains in the hours. So some steps of each size are timed (`speed_trial`), smallest first, and the
size with the least expected loss is taken (`expected_loss`, `plan_choice`). The other settings follow from the size,
from the number of steps and from how often the text would be read. Whatever the user gave is laid over the plan.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bertsmith.batches.held_out import held_out_batches
from bertsmith.core.artefact import require_free
from bertsmith.core.configuration import build_settings
from bertsmith.core.console import console
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.configuration import BertConfig
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.folder_configuration import load_config, resolve_model_folder
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import PLANNED, PretrainConfig
from bertsmith.training.evaluation import unigram_loss, unigram_losses
from bertsmith.training.expected_loss import CURVES
from bertsmith.training.flops import flops_per_token
from bertsmith.training.network import network_config, shape_of
from bertsmith.training.plan_choice import CANDIDATES, Plan, Situation, choose, given_size, settings_of
from bertsmith.training.precision import choose_precision
from bertsmith.training.run_evaluation import EVALUATION_BATCH
from bertsmith.training.schedule import SECONDS_PER_HOUR
from bertsmith.training.speed_trial import Speed, try_speed

# What the timing may cost: little beside the hours, and never more patience than that of a person at a screen.
_SHARE_OF_THE_HOURS, _MOST_SECONDS = 0.02, 40.0
_LEAST_STEPS = 2  # that a size must be able to take in what is left of it: one to warm up, one to time


def planned(config: PretrainConfig, store: TokenStore, processes: int = 1) -> PretrainConfig:
    """The settings with all that was left open decided by a plan, which is told on the screen.

    processes  that will train together; the plan takes them to be so many times as fast as one

    raises  ConfigurationError without hours, ArtefactExists if the run could not be written anyway
    """
    hours = config.training.hours
    if hours is None:
        raise ConfigurationError(f"The recipe '{PLANNED}' is a plan for a number of hours. Give --hours, not --steps.")
    if config.data.objective == "next":
        raise ConfigurationError(
            "What hours give is known of masked language models only, so nothing can be planned for objective = next. "
            "Name a recipe for the settings, say --recipe evening --initialisation normal."
        )
    if not config.dry_run:
        require_free(config.out)
    given = config.model_dump(exclude_unset=True)
    if config.init is not None:
        given["model"] = {**_network_of(config.init), **given.get("model", {})}
    device = config.runtime.take_device()
    made = plan(store, hours, device, choose_precision(config.runtime.precision, device), given, processes)
    for reason in made.reasons:
        console.print(reason, soft_wrap=True)
    return build_settings(PretrainConfig, made.settings, given)


def plan(
    store: TokenStore,
    hours: float,
    device: torch.device,
    precision: torch.dtype,
    given: Mapping[str, Any],
    processes: int = 1,
) -> Plan:
    """Time the sizes that could be best, and choose.

    given      settings that are decided, store and out among them; of a decided size nothing else is timed
    processes  this one is timed while the others wait; all together are taken to be so many times as fast
    """
    decided = given_size(given)
    situation = Situation(hours, {}, 1.0, store.train.num_tokens, _unigram_loss(store, given))
    started, seconds = time.monotonic(), min(_MOST_SECONDS, _SHARE_OF_THE_HOURS * hours * SECONDS_PER_HOUR)
    last: tuple[PretrainConfig, Speed] | None = None
    left_out = ""
    for size in CANDIDATES if decided is None else (decided,):
        config = build_settings(PretrainConfig, settings_of(size), given)
        left = seconds - (time.monotonic() - started)
        if last is not None:
            if not _could_win(size, situation):
                break
            if _LEAST_STEPS * last[1].seconds_per_step * _work(config, store) / _work(last[0], store) > left:
                left_out = f"{size} was not timed: that would have taken too long."
                break
        speed = try_speed(config, store, device, precision, left)
        situation = replace(
            situation,
            speeds={**situation.speeds, size: processes * speed.tokens_per_second},
            tokens_per_sequence=speed.tokens_per_sequence,
        )
        last = config, speed
    made = choose(situation, given)
    together = f"Speeds are one process's times {processes}, as if none waited for another." if processes > 1 else ""
    return replace(made, reasons=(*made.reasons, *filter(None, (left_out, together))))


def _unigram_loss(store: TokenStore, given: Mapping[str, Any]) -> float:
    """The floor that the run itself is held against; of the training text, where none is held out."""
    config = build_settings(PretrainConfig, settings_of(CANDIDATES[0]), given)
    counts, sequences = store.token_counts, config.runtime.evaluation_sequences
    batches = held_out_batches(store, config.data, max_sequences=sequences, batch_size=EVALUATION_BATCH)
    if batches:
        return unigram_loss(batches, counts)
    return float(unigram_losses(counts) @ (counts / counts.sum()))


def _could_win(size: str, situation: Situation) -> bool:
    """Whether a larger size would be best if it were as fast as the largest timed one: it can be no faster."""
    *_, largest = situation.speeds
    best = min(situation.loss(timed) for timed in situation.speeds)
    return CURVES[size].share(situation.tokens(largest)) * situation.unigram_loss < best


def _work(config: PretrainConfig, store: TokenStore) -> float:
    """Floating-point operations for a token, to tell how much longer a step of another size takes."""
    network = network_config(config, store.tokenizer)
    assert not isinstance(network, ElmoConfig)  # which is no masked language model
    return flops_per_token(network, config.data.length_of(0), config.data.masking_rate_of(0))


def _network_of(folder: Path) -> dict[str, Any]:
    """What the model of `--init` is; training goes on with it, whatever a plan would choose."""
    network = load_config(BertConfig, resolve_model_folder(folder))
    return shape_of(folder) | {
        "hidden_dropout": network.hidden_dropout_prob,
        "attention_dropout": network.attention_probs_dropout_prob,
        "initialisation": "normal",  # says nothing: no weight begins anew
    }
