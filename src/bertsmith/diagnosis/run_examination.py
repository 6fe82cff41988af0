"""Everything about a run: its record, and its newest weights on a copy in memory. The run is not touched."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.batches.held_out import held_out_batches
from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.diagnosis.attention_heads import Attention, attention_finding, measure_attention
from bertsmith.diagnosis.course import course_finding, next_sentence_finding
from bertsmith.diagnosis.finding import Finding, Level
from bertsmith.diagnosis.one_batch import SEQUENCES, learn_one_batch, one_batch_finding
from bertsmith.diagnosis.patient import RunRecord
from bertsmith.diagnosis.plateau import plateau_finding
from bertsmith.diagnosis.text_entropy import TextEntropy
from bertsmith.diagnosis.text_size import run_finding
from bertsmith.diagnosis.updates import FEWEST_STEPS, measure_updates, update_finding
from bertsmith.model.bert import BertForPreTraining
from bertsmith.text.token_store import TokenStore
from bertsmith.training.plateau import advice, held_out_losses
from bertsmith.training.starting_point import load_starting_point

_SEQUENCES_AT_A_TIME = 8  # whose attention is in memory together, of all layers
_UPDATE_STEPS = 3
_UPDATE_SEQUENCES = 32  # of a batch at most: the running means do the rest


@dataclass(frozen=True)
class RunExamination:
    """Findings about a run, and where its heads look."""

    findings: list[Finding]
    attention: Attention


def examine_run(
    record: RunRecord,
    store: TokenStore,
    unigram: float | None,
    entropy: TextEntropy | None,
    *,
    num_pairs: int,
    sequences: int,
    device: torch.device,
    precision: torch.dtype,
) -> RunExamination:
    """Look at the record and at the newest weights.

    unigram    held-out loss of guessing by frequency; None without held-out text
    entropy    of the same labels, where the text was read
    num_pairs  held-out pairs that next sentence prediction was scored on
    sequences  held-out sequences on which attention is measured
    """
    findings = list(_examine_record(record, unigram, entropy, num_pairs))
    alarming = any(finding.about == "plateau" and finding.level is Level.WARNING for finding in findings)
    run, weights = replace(record.run, precision=str(precision).removeprefix("torch.")), record.weights
    if weights.model is not None:
        run = replace(run, config=run.config.model_copy(update={"init": weights.model}))
    model, optimiser, state = load_starting_point(run, store, weights.checkpoint, device)
    assert isinstance(model, BertForPreTraining)  # `open_patient` sees to it
    batches = list(_next_batches(record, store, state.position.cursor))
    sample = held_out_batches(store, run.config.data, max_sequences=sequences, batch_size=_SEQUENCES_AT_A_TIME) or [
        batches[0].slice(0, min(_SEQUENCES_AT_A_TIME, batches[0].num_sequences))
    ]
    attention = measure_attention(model.bert, sample, store.tokenizer.sep_id)
    findings.append(attention_finding(attention, alarming=alarming, remedy=advice(record.run.config)))
    small_batch = batches[0].slice(0, min(SEQUENCES, batches[0].num_sequences))
    findings.append(one_batch_finding(learn_one_batch(model, small_batch)))
    if state.position.steps_done >= FEWEST_STEPS:
        sizes = measure_updates(model, optimiser, batches, run.config.seed)
        findings.append(update_finding(sizes, _UPDATE_STEPS))
    if weights.tokens_seen:
        parameters = sum(weight.numel() for weight in model.parameters())
        findings.append(run_finding(store, weights.tokens_seen, weights.progress, parameters))
    return RunExamination(findings, attention)


def _examine_record(
    record: RunRecord, unigram: float | None, entropy: TextEntropy | None, num_pairs: int
) -> Iterator[Finding]:
    config = record.run.config
    losses = held_out_losses(record.records)
    if losses and unigram is not None:
        yield plateau_finding(config, losses, unigram, entropy, record.progress)
    yield course_finding(record.records, config.training.gradient_clip)
    scored = [
        entry["held_out"]["nsp_accuracy"] for entry in record.records if "nsp_accuracy" in entry.get("held_out", {})
    ]
    if scored:
        yield next_sentence_finding(scored[-1], num_pairs, record.progress)


def _next_batches(record: RunRecord, store: TokenStore, cursor: Cursor) -> Iterator[PretrainingBatch]:
    """The batches that the run would train on next, cut to a size that any machine manages in seconds."""
    batches = PretrainingBatches(store.train, store.tokenizer, record.run.config.data, record.run.config.seed)
    for _ in range(_UPDATE_STEPS):
        batch, cursor = batches.batch(cursor)
        yield batch.slice(0, min(_UPDATE_SEQUENCES, batch.num_sequences))
