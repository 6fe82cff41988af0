"""The verb `doctor`: examine a run, or a token store before any run; say what is found and what to do."""

import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from pydantic import Field

from bertsmith.batches.held_out import held_out_batches
from bertsmith.core.artefact import require_free
from bertsmith.core.configuration import Settings
from bertsmith.core.console import progress_line
from bertsmith.diagnosis.diagnosis import Diagnosis, LossCurves, worst_first
from bertsmith.diagnosis.patient import Patient, RunRecord, open_patient
from bertsmith.diagnosis.report import write_report
from bertsmith.diagnosis.run_examination import examine_run
from bertsmith.diagnosis.text_entropy import TextEntropy
from bertsmith.diagnosis.text_examination import examine_text
from bertsmith.training.configuration import RuntimeSettings
from bertsmith.training.evaluation import unigram_loss
from bertsmith.training.machine import MachineSettings
from bertsmith.training.precision import choose_precision
from bertsmith.training.run_evaluation import EVALUATION_BATCH

_POINTS = 300  # of a training curve at most: each the mean of its records


class DoctorConfig(Settings):
    """Say what is wrong with a run or a token store, and what to do."""

    subject: Path = Field(description="run folder of `pretrain` (going on, stopped or finished), or token store")
    store: Path | None = Field(None, description="the run's token store, if it is not where it was")
    out: Path | None = Field(None, description="new folder for page, pictures and JSON; default: nothing is written")
    text: bool = Field(True, description="read the text: entropy, repeats, pairs that lengths give away")
    text_tokens: int = Field(
        50_000_000, ge=1, description="training tokens that are read at most, spread over the text"
    )
    sequences: int = Field(256, ge=1, description="held-out sequences on which attention is measured")
    runtime: MachineSettings = MachineSettings()


def doctor(config: DoctorConfig) -> Diagnosis:
    """Examine a run or a token store. Nothing is changed, and nothing is written but to `out`."""
    if config.out is not None:
        require_free(config.out)
    device = config.runtime.take_device()
    patient = open_patient(config.subject, config.store)
    store, record = patient.store, patient.record
    runtime = record.run.config.runtime if record is not None else RuntimeSettings()
    held_out = held_out_batches(
        store, patient.data, max_sequences=runtime.evaluation_sequences, batch_size=EVALUATION_BATCH
    )
    unigram = unigram_loss(held_out, store.token_counts) if held_out else None
    with progress_line("doctor", total=2) as line:
        line.update(0, "reading the text")
        findings, entropy = examine_text(store, patient.data, held_out, read=config.text, max_tokens=config.text_tokens)
        losses, attention = None, None
        if record is not None:
            line.update(1, "examining the network")
            examination = examine_run(
                record,
                store,
                unigram,
                entropy,
                num_pairs=sum(batch.num_sequences for batch in held_out),
                sequences=config.sequences,
                device=device,
                precision=choose_precision(config.runtime.precision, device),
            )
            findings = examination.findings + findings
            losses, attention = _loss_curves(record, unigram, entropy), examination.attention.by_place()
    diagnosis = Diagnosis(_examined(patient), worst_first(findings), losses, attention)
    if config.out is not None:
        write_report(diagnosis, config.out, config.model_dump(mode="json"), {"token_store": store.fingerprint})
    return diagnosis


def _examined(patient: Patient) -> str:
    store, record = patient.store, patient.record
    if record is None:
        return f"Token store {patient.folder}: {store.train.num_tokens:,} tokens to train on."
    config = record.run.config
    steps = max((entry["step"] for entry in record.records), default=0)
    start = f"from {config.init}" if config.init is not None else f"initialisation {config.model.initialisation}"
    return (
        f"Run {patient.folder}: {record.progress:.0%} of {config.training.duration} done ({steps:,} steps); "
        f"{start}, recipe {config.recipe or 'none'}, token store {store.folder}. Examined: {record.weights.named}."
    )


def _loss_curves(record: RunRecord, unigram: float | None, entropy: TextEntropy | None) -> LossCurves | None:
    """The losses on file, by step."""
    training = [(entry["step"], entry["train"]["token_loss"]) for entry in record.records if "train" in entry]
    held_out = [(entry["step"], entry["held_out"]["token_loss"]) for entry in record.records if "held_out" in entry]
    if not training and not held_out:
        return None
    levels = {}
    if unigram is not None:
        levels[f"by frequency {unigram:.2f}"] = unigram
    if entropy is not None:
        levels[f"by the word before {entropy.before:.2f}"] = entropy.before
        levels[f"by the words beside {entropy.between:.2f}"] = entropy.between
    return LossCurves(_thinned(training), held_out, levels)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """No more than so many points: each the mean loss of some neighbouring records, at the last one's step."""
    size = -(-len(points) // _POINTS) or 1
    borders = [*range(0, len(points), size), len(points)]
    return [
        (points[end - 1][0], statistics.fmean(loss for _, loss in points[start:end]))
        for start, end in pairwise(borders)
    ]
