"""Batches for pre-training: any batch of any epoch, at once, from a seed and a place (BERT 3.1, A.2).

An epoch is every token of a split once. The blocks of the split are permuted; 64 consecutive ones of that order are a
*window*. In the documents of a window the samples are cut (`segment_pairs`) and shuffled. So a batch mixes text from 64
places of the corpus, and no more than a window is ever planned: any place is entered within a fraction of a second.

Sample (phase, epoch, window, offset) is a pure function of the seed: its segments stand in the window's plan; its
random text and its masks come from a generator of its own. Who asks, in which process and after what does not matter.

A training has one or more *phases*, which may differ in length, batch size and masking rate; BERT trains nine tenths of
the steps at a short length and the rest at a long one. A phase goes on in the epoch of the one before it, so a short
training that never sees all of its text sees no part of it twice.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from rich.text import Text

from bertsmith.batches.batch_parts import Share
from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.flat_batch import FlatBatch, PretrainingBatch
from bertsmith.batches.masking import MaskingRule, mask_tokens
from bertsmith.batches.next_tokens import next_tokens
from bertsmith.batches.other_documents import OtherDocuments
from bertsmith.batches.segment_pairs import Passage, SegmentPair, plan_segments
from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.core.randomness import generator
from bertsmith.text.pieces import CONTINUATION
from bertsmith.text.token_store import TokenBlock, TokenTable
from bertsmith.text.tokenizer import Tokenizer

WINDOW_BLOCKS = 64
_CACHED_WINDOWS = 2  # the one at hand and the next


@dataclass(frozen=True)
class Cursor:
    """Where the next sample stands. JSON-able by `dataclasses.asdict`."""

    phase: int = 0
    epoch: int = 0
    window: int = 0
    offset: int = 0


class PretrainingBatches:
    """The endless sequence of batches of a split. Safe to use from several threads.

    table        the split
    tokenizer    the one that made the split's ids
    seed         decides order, segments, random text and masks
    random_text  the split that random text for NSP comes from, if not `table`
    raises       InputError for a split without text, ConfigurationError where it offers no pairs for NSP
    """

    def __init__(
        self,
        table: TokenTable,
        tokenizer: Tokenizer,
        settings: BatchSettings,
        seed: int,
        *,
        random_text: TokenTable | None = None,
    ):
        if not table.num_blocks:
            raise InputError("There is no text to make batches of: this split of the token store is empty.")
        if settings.next_sentence and random_text is None:
            _require_pairs(table)
        self.num_windows = -(-table.num_blocks // WINDOW_BLOCKS)
        self._table = table
        self._tokenizer = tokenizer
        self._settings = settings
        self._seed = seed
        self._others = OtherDocuments(random_text or table)
        self._random_text_is_own = random_text is None or random_text is table
        self._block_order = lru_cache(_CACHED_WINDOWS)(self._permute_blocks)
        self._window = lru_cache(_CACHED_WINDOWS)(self._plan_window)

    def share_of_random_pairs(self) -> float:
        """How many of the pairs of the first window are random; half of them, unless documents are too short."""
        samples = self._window(self._settings.length_of(0), 0, 0).samples
        return float(samples[:, SegmentPair._fields.index("not_next")].mean())

    def batch(self, cursor: Cursor, share: Share = range) -> tuple[PretrainingBatch, Cursor]:
        """The batch that starts at a place, and the place of the next. A pure function of the seed and the place.

        share   which of its sequences to make; the others cost nothing
        raises  ConfigurationError for a place that does not exist in this split with these settings
        """
        self._require_place(cursor)
        *places, following = islice(self.places(cursor), self._settings.batch_size_of(cursor.phase) + 1)
        own = share(len(places))
        return self.assemble(places[own.start : own.stop]), following

    def enter_phase(self, cursor: Cursor, phase: int) -> Cursor:
        """Where a phase begins after another one that stopped at `cursor`.

        At the very place if the samples are as long. Otherwise the window is planned anew, so at the next window: the
        rest of this one is left out, as no part of the text shall come twice before all of it was there.
        """
        if cursor.offset == 0 or self._settings.length_of(phase) == self._settings.length_of(cursor.phase):
            return replace(cursor, phase=phase)
        epoch, window = self._following(cursor.epoch, cursor.window)
        return Cursor(phase, epoch, window)

    def places(self, start: Cursor) -> Iterator[Cursor]:
        """The place of each sample from `start` on, for ever: windows and epochs follow each other without a seam."""
        self._require_place(start)
        phase, epoch, window, offset = start.phase, start.epoch, start.window, start.offset
        length = self._settings.length_of(phase)
        while True:
            for place in range(offset, self._window(length, epoch, window).num_samples):
                yield Cursor(phase, epoch, window, place)
            epoch, window = self._following(epoch, window)
            offset = 0

    def assemble(self, places: Sequence[Cursor]) -> PretrainingBatch:
        """The samples at some places of one phase as a batch."""
        tokenizer = self._tokenizer
        cls, sep = np.array([tokenizer.cls_id]), np.array([tokenizer.sep_id])
        generators, pieces, lengths, labels = [], [], [], []
        for place in places:
            rng = self._generator(place)
            passages, not_next = self._passages(place, rng)
            generators.append(rng)
            labels.append(not_next)
            if not self._settings.special_pieces:
                (passage,) = passages
                lengths.append((passage.end - passage.start, 0))
                pieces.append(passage.token_ids)
                continue
            length_a, *length_b = (passage.end - passage.start + 1 for passage in passages)  # each with its [SEP]
            lengths.append((1 + length_a, sum(length_b)))
            pieces.append(cls)
            for passage in passages:
                pieces += [passage.token_ids, sep]
        segment_lengths = np.array(lengths)
        sequence_lengths = segment_lengths.sum(axis=1)
        cu_seqlens = np.concatenate([[0], np.cumsum(sequence_lengths)])
        token_ids = np.concatenate(pieces, dtype=np.int64)
        if self._settings.objective == "next":
            masked_positions, masked_labels = next_tokens(token_ids, cu_seqlens)
        else:
            is_special = np.zeros(len(token_ids), dtype=np.bool_)
            is_special[cu_seqlens[:-1]] = True
            is_special[cu_seqlens[:-1] + segment_lengths[:, 0] - 1] = True
            is_special[cu_seqlens[1:] - 1] = True
            rule = self._masking_rule(places[0].phase)
            masked_positions, masked_labels = mask_tokens(token_ids, cu_seqlens, is_special, generators, rule)
        inputs = FlatBatch(
            token_ids=torch.from_numpy(token_ids),
            segment_ids=torch.from_numpy(np.repeat(np.tile([0, 1], len(places)), segment_lengths.ravel())),
            positions=torch.from_numpy(np.arange(len(token_ids)) - np.repeat(cu_seqlens[:-1], sequence_lengths)),
            cu_seqlens=torch.from_numpy(cu_seqlens.astype(np.int32)),
            max_seqlen=int(sequence_lengths.max()),
        )
        return PretrainingBatch(
            inputs=inputs,
            masked_positions=torch.from_numpy(masked_positions),
            masked_labels=torch.from_numpy(masked_labels),
            not_next=torch.tensor(labels) if self._settings.next_sentence else None,
        )

    def edge_distances(self, places: Sequence[Cursor]) -> NDArray[np.int64]:
        """How far each token of `assemble(places)` is from the nearer edge of its sentence; -1 for special tokens.

        The segments are drawn once more, so that training pays nothing for what only an evaluation asks.

        returns  [T]
        """
        special, parts = np.array([-1]), []
        for place in places:
            passages, _ = self._passages(place, self._generator(place))
            parts.append(special)
            for passage in passages:
                parts += [passage.edge_distances(), special]
        return np.concatenate(parts)

    def _generator(self, place: Cursor) -> np.random.Generator:
        """What decides a sample's random text, and then its masks."""
        length = self._settings.length_of(place.phase)
        return generator(self._seed, "sample", length, place.epoch, place.window, place.offset)

    def _passages(self, place: Cursor, rng: np.random.Generator) -> tuple[list[Passage], int]:
        """A and B, and whether B is random text; no B without NSP."""
        window = self._window(self._settings.length_of(place.phase), place.epoch, place.window)
        pair = SegmentPair._make(window.samples[place.offset].tolist())
        block = window.blocks[pair.block]
        passage_a = Passage(block, pair.start, pair.border)
        if not self._settings.next_sentence:
            return [passage_a], 0
        if not pair.not_next:
            return [passage_a, Passage(block, pair.border, pair.end)], 0
        not_document = pair.document if self._random_text_is_own else None
        random_text = self._others.draw(rng, not_document=not_document, room=pair.room, ending=pair.ending)
        return [passage_a, random_text], 1

    def _require_place(self, place: Cursor) -> None:
        phase, epoch, window, offset = place.phase, place.epoch, place.window, place.offset
        if not (0 <= phase < len(self._settings.phases) and epoch >= 0 and 0 <= window < self.num_windows):
            raise _no_such_place(place)
        if not 0 <= offset < self._window(self._settings.length_of(phase), epoch, window).num_samples:
            raise _no_such_place(place)

    def _following(self, epoch: int, window: int) -> tuple[int, int]:
        """The window after a window, and its epoch."""
        return (epoch, window + 1) if window + 1 < self.num_windows else (epoch + 1, 0)

    def _plan_window(self, max_seq_length: int, epoch: int, window: int) -> "_Window":
        order = self._block_order(epoch)
        blocks = [
            self._table.block(int(index)) for index in order[window * WINDOW_BLOCKS : (window + 1) * WINDOW_BLOCKS]
        ]
        samples = plan_segments(
            blocks,
            max_seq_length=max_seq_length,
            short_sequence_probability=self._settings.short_sequence_probability,
            next_sentence=self._settings.next_sentence,
            special_pieces=self._settings.special_pieces,
            rng=generator(self._seed, "segments", max_seq_length, epoch, window),
        )
        return _Window(blocks, samples)

    def _permute_blocks(self, epoch: int) -> NDArray[np.int64]:
        return generator(self._seed, "blocks", epoch).permutation(self._table.num_blocks)

    def _masking_rule(self, phase: int) -> MaskingRule:
        settings = self._settings
        rate = settings.masking_rate_of(phase)
        default_predictions = math.ceil(rate * settings.length_of(phase))
        return MaskingRule(
            rate=rate,
            max_predictions=settings.max_predictions or default_predictions,
            mask_share=settings.mask_share,
            random_share=settings.random_share,
            whole_word=settings.whole_word,
            tokenizer=self._tokenizer,
        )


@dataclass(frozen=True, eq=False)
class _Window:
    blocks: list[TokenBlock]
    samples: NDArray[np.int64]  # [N, 8] fields of SegmentPair

    @property
    def num_samples(self) -> int:
        return len(self.samples)


def describe(batch: PretrainingBatch, tokenizer: Tokenizer) -> Text:
    """A look inside before hours are spent: the first sample of a batch, its masks, and whether B follows A.

    returns  a rich text; `.plain` is the same without colours: `the [MASK]{dog} bar[MASK]{##ks} at at{me}`
    """
    sample = batch.slice(0, 1)
    positions: list[int] = sample.masked_positions.tolist()
    labels: dict[int, str] = dict(zip(positions, tokenizer.tokens(sample.masked_labels.tolist()), strict=True))
    text = Text()
    text.append(f"The first of {batch.num_sequences} samples: {sample.num_tokens} tokens, {len(labels)} to guess")
    if sample.not_next is not None:
        text.append("; B comes from another document" if sample.not_next.item() else "; B follows A")
    text.append(". In braces what the model has to guess:\n")
    for position, shown in enumerate(tokenizer.tokens(sample.inputs.token_ids.tolist())):
        label = labels.get(position)
        continues_word = (label or shown).startswith(CONTINUATION)
        if position and not continues_word:
            text.append(" ")
        if label is None:
            text.append(shown.removeprefix(CONTINUATION))
        else:
            text.append(f"{shown}{{{label}}}", style="bold")
    return text


def _require_pairs(table: TokenTable) -> None:
    """Refuse a split in which no pair can be made, or only random ones."""
    if table.num_documents < 2:
        problem = "the text is a single document, so there is no other one for the pairs that are not true"
    elif table.num_sentences == table.num_documents:
        problem = "every document is a single sentence, so nothing ever follows"
    else:
        return
    raise ConfigurationError(
        f"Next sentence prediction cannot be trained on this token store: {problem}. Prepare the text again with each "
        f"document in a file of its own or after a blank line and with sentences split, or set next_sentence = false."
    )


def _no_such_place(cursor: Cursor) -> ConfigurationError:
    return ConfigurationError(
        f"There is no sample at {cursor} in this token store with these settings. Go on with the store, the seed and "
        f"the batch settings that the run was started with."
    )
