"""Everything about the text: what its counts tell, and what has to be read."""

from collections.abc import Sequence

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.diagnosis.finding import Finding
from bertsmith.diagnosis.pair_lengths import pair_finding
from bertsmith.diagnosis.repetition import measure_repetition, repetition_findings
from bertsmith.diagnosis.text_entropy import TextEntropy, entropy_finding, measure_entropy
from bertsmith.diagnosis.text_size import store_findings
from bertsmith.text.token_store import TokenStore


def examine_text(
    store: TokenStore, data: BatchSettings, held_out: Sequence[PretrainingBatch], *, read: bool, max_tokens: int
) -> tuple[list[Finding], TextEntropy | None]:
    """Look at a store.

    held_out    the batches that a run on it is scored on
    read        read the text, too; else only its counts are looked at
    max_tokens  of the training text that are read at most
    """
    findings = list(store_findings(store, max_tokens))
    if not read or not store.train.num_tokens:
        return findings, None
    findings += repetition_findings(measure_repetition(store, max_tokens))
    if data.next_sentence:
        findings.append(pair_finding(store, data))
    if not held_out:
        return findings, None
    entropy = measure_entropy(store, held_out, max_tokens)
    return [entropy_finding(entropy), *findings], entropy
