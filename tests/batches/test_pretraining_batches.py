"""Batches as the trainer gets them: what is in them, and that they are a function of seed and place alone."""

import json
import math
import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from corpora import FIRST_WORD, NUM_WORDS, random_documents
from samples import same, segments, tensors

from bertsmith.batches.configuration import BatchSettings, Phase
from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.batches.pretraining import Cursor, PretrainingBatches, describe
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.text.token_store import TokenStore
from bertsmith.training.processes import Processes

SHORT_THEN_LONG = (Phase(share=0.5), Phase(share=0.5, max_seq_length=128))
SMALL = BatchSettings(max_seq_length=64, batch_size=32, phases=SHORT_THEN_LONG)


def batches_of(store: TokenStore, settings: BatchSettings = SMALL, seed: int = 1) -> PretrainingBatches:
    return PretrainingBatches(store.train, store.tokenizer, settings, seed)


def first_epoch(batches: PretrainingBatches) -> PretrainingBatch:
    return batches.assemble(list(takewhile(lambda place: place.epoch == 0, batches.places(Cursor()))))


def samples_of(batch: PretrainingBatch) -> list[PretrainingBatch]:
    return [batch.slice(index, index + 1) for index in range(batch.num_sequences)]


# --- what is in a batch -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("next_sentence", [True, False])
def test_a_sample_is_cls_a_sep_b_sep(small_store, tokenizer, next_sentence):
    batch, _ = batches_of(small_store, BatchSettings(next_sentence=next_sentence)).batch(Cursor())
    specials = {tokenizer.cls_id, tokenizer.sep_id}
    for part in samples_of(batch):
        token_ids, segment_ids = part.inputs.token_ids.clone(), part.inputs.segment_ids
        token_ids[part.masked_positions] = part.masked_labels
        places = [place for place, piece in enumerate(token_ids.tolist()) if piece in specials]
        length_of_a = int((segment_ids == 0).sum())
        expected = [0, length_of_a - 1] + ([part.num_tokens - 1] if next_sentence else [])
        assert places == expected
        assert segment_ids.tolist() == [0] * length_of_a + [1] * (part.num_tokens - length_of_a)
        assert part.inputs.positions.tolist() == list(range(part.num_tokens))
        assert part.num_tokens <= 128
        assert (part.not_next is None) == (not next_sentence)


def test_b_follows_a_or_comes_from_another_document(small_store):
    documents = random_documents(200, seed=0)
    document_of = np.repeat(np.arange(200), [sum(lengths) for lengths in documents])
    for a, b, not_next in segments(first_epoch(batches_of(small_store))):
        for segment in (a, b):
            assert np.array_equal(segment, np.arange(segment[0], segment[0] + len(segment)))
            assert document_of[segment[0]] == document_of[segment[-1]]
        if not_next:
            assert document_of[a[0]] != document_of[b[0]]
        else:
            assert b[0] == a[-1] + 1


@pytest.mark.parametrize("next_sentence", [True, False])
@pytest.mark.parametrize("phase", [0, 1])
def test_every_token_is_seen_once_an_epoch_as_text_that_is_not_random(small_store, next_sentence, phase):
    batches = batches_of(small_store, SMALL.model_copy(update={"next_sentence": next_sentence}))
    places = list(takewhile(lambda place: place.epoch == 0, batches.places(Cursor(phase=phase))))
    seen = np.zeros(small_store.train.num_tokens, dtype=int)
    for a, b, not_next in segments(batches.assemble(places)):
        seen[a] += 1
        if not not_next:
            seen[b] += 1
    assert (seen == 1).all()


def test_an_epoch_of_two_windows_is_every_token_once(large_store):
    epoch = first_epoch(batches_of(large_store, BatchSettings(next_sentence=False)))
    token_ids = epoch.inputs.token_ids.clone()
    token_ids[epoch.masked_positions] = epoch.masked_labels
    words = token_ids[token_ids >= FIRST_WORD].numpy()
    corpus = np.arange(large_store.train.num_tokens) % NUM_WORDS + FIRST_WORD
    assert np.array_equal(np.bincount(words), np.bincount(corpus))


def test_epochs_and_phases_have_samples_of_their_own(small_store):
    batches = batches_of(small_store)
    starts = [Cursor(), Cursor(epoch=1), Cursor(phase=1), Cursor(phase=1, epoch=1)]
    made = [batches.batch(start)[0] for start in starts]
    assert not any(same(made[i], made[j]) for i in range(4) for j in range(i))
    assert max(batch.inputs.max_seqlen for batch in made[:2]) <= 64 < max(b.inputs.max_seqlen for b in made[2:]) <= 128


def test_a_batch_has_masks_at_the_set_rate(small_store):
    for rate in (0.15, 0.4):
        batch, _ = batches_of(small_store, BatchSettings(masking_rate=rate)).batch(Cursor())
        lengths = np.diff(batch.inputs.borders)
        expected = sum(min(math.ceil(rate * 128), max(1, round(rate * length))) for length in lengths)
        assert abs(len(batch.masked_labels) - expected) <= (lengths < 6).sum()  # some have fewer tokens than labels


def test_max_predictions_bounds_the_labels_of_a_sample(small_store):
    batch, _ = batches_of(small_store, BatchSettings(max_predictions=3)).batch(Cursor())
    assert max(len(part.masked_labels) for part in samples_of(batch)) == 3


# --- a function of seed and place alone -------------------------------------------------------------------------------


def test_any_place_can_be_entered_at_once(small_store):
    running, cursor, made = batches_of(small_store), Cursor(), []
    for _ in range(60):  # over several epochs
        batch, following = running.batch(cursor)
        made.append((cursor, batch, following))
        cursor = following
    assert cursor.epoch >= 2
    for start, batch, following in reversed(made):
        again, next_place = batches_of(small_store).batch(start)
        assert next_place == following
        assert same(again, batch)


def test_the_batch_size_only_decides_where_batches_end(small_store):
    one = batches_of(small_store, SMALL.model_copy(update={"batch_size": 90})).batch(Cursor())
    three = batches_of(small_store, SMALL.model_copy(update={"batch_size": 30}))
    cursor, parts = Cursor(), []
    for _ in range(3):
        batch, cursor = three.batch(cursor)
        parts.append(batch)
    assert one[1] == cursor
    assert all(same(one[0].slice(30 * index, 30 * (index + 1)), part) for index, part in enumerate(parts))


def test_batches_cross_windows_and_epochs_without_a_seam(large_store):
    batches = batches_of(large_store)
    places = list(takewhile(lambda place: place.epoch == 0, batches.places(Cursor())))
    sizes = Counter(place.window for place in places)
    assert places == [Cursor(window=window, offset=offset) for window in (0, 1) for offset in range(sizes[window])]
    crossing, cursor = batches.batch(Cursor(offset=sizes[0] - 12))
    assert cursor == Cursor(window=1, offset=20)
    assert same(crossing, batches.assemble(places[sizes[0] - 12 : sizes[0] + 20]))
    assert batches.batch(Cursor(window=1, offset=sizes[1] - 32))[1] == Cursor(epoch=1)
    assert batches.batch(Cursor(window=1, offset=sizes[1] - 12))[1] == Cursor(epoch=1, offset=20)


def make_in_a_process(folder: Path, cursors: list[Cursor]) -> list[list[list[int] | None]]:
    batches = batches_of(TokenStore.open(folder))
    made = [tensors(batches.batch(cursor)[0]) for cursor in cursors]
    return [[tensor if tensor is None else tensor.tolist() for tensor in batch] for batch in made]


def test_batches_are_equal_in_any_number_of_processes_and_threads(small_store):
    batches, cursors = batches_of(small_store), [Cursor()]
    while len(cursors) < 12:
        cursors.append(batches.batch(cursors[-1])[1])
    here = make_in_a_process(small_store.folder, cursors)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        made = list(pool.map(make_in_a_process, [small_store.folder] * 2, [cursors[0::2], cursors[1::2]]))
    assert (made[0], made[1]) == (here[0::2], here[1::2])
    with ThreadPoolExecutor(4) as pool:
        threaded = [tensors(batch) for batch, _ in pool.map(batches.batch, cursors)]
    assert [[t if t is None else t.tolist() for t in batch] for batch in threaded] == here


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_shares_of_several_processes_are_the_batch(small_store, count):
    whole, following = batches_of(small_store).batch(Cursor())
    for number in range(count):
        share = Processes(number, count).share
        part, after_part = batches_of(small_store).batch(Cursor(), share)
        own = share(whole.num_sequences)
        assert same(part, whole.slice(own.start, own.stop))
        assert after_part == following


def test_another_seed_gives_other_batches(small_store):
    assert not same(
        batches_of(small_store, seed=1).batch(Cursor())[0], batches_of(small_store, seed=2).batch(Cursor())[0]
    )


def test_a_cursor_survives_json(small_store):
    _, cursor = batches_of(small_store).batch(Cursor())
    assert Cursor(**json.loads(json.dumps(asdict(cursor)))) == cursor


# --- phases -----------------------------------------------------------------------------------------------------------


def test_a_phase_of_other_masks_or_batches_goes_on_at_the_very_sample(small_store):
    phases = (Phase(share=0.5), Phase(share=0.5, masking_rate=0.5, batch_size=8))
    batches = batches_of(small_store, SMALL.model_copy(update={"phases": phases}))
    _, stopped = batches.batch(Cursor())
    begun = batches.enter_phase(stopped, 1)
    assert begun == Cursor(phase=1, offset=32)
    batch, following = batches.batch(begun)
    without, _ = batches.batch(stopped)
    assert (batch.num_sequences, following) == (8, Cursor(phase=1, offset=40))
    assert len(batch.masked_labels) > 2.5 * len(without.slice(0, 8).masked_labels)
    assert batch.inputs.borders == without.slice(0, 8).inputs.borders


def test_a_phase_of_another_length_goes_on_at_the_next_window(large_store):
    batches = batches_of(large_store)
    assert batches.enter_phase(Cursor(epoch=3, offset=9), 1) == Cursor(phase=1, epoch=3, window=1)
    assert batches.enter_phase(Cursor(epoch=3, window=1, offset=9), 1) == Cursor(phase=1, epoch=4)
    assert batches.enter_phase(Cursor(epoch=3, window=1), 1) == Cursor(phase=1, epoch=3, window=1)


def test_the_windows_of_an_epoch_are_its_text_once_whatever_the_length_of_each(large_store):
    batches = batches_of(large_store, SMALL.model_copy(update={"next_sentence": False}))
    short = takewhile(lambda place: place.window == 0, batches.places(Cursor()))
    long = takewhile(lambda place: place.epoch == 0, batches.places(Cursor(phase=1, window=1)))
    words = np.concatenate([a for part in (short, long) for a, _, _ in segments(batches.assemble(list(part)))])
    corpus = np.arange(large_store.train.num_tokens) % NUM_WORDS
    assert np.array_equal(np.bincount(words), np.bincount(corpus))


def test_the_ends_of_the_phases_are_the_sums_of_their_shares():
    phases = [{"share": 0.2}, {"share": 0.7, "batch_size": 64}, {"share": 0.1, "max_seq_length": 512}]
    settings = build_settings(BatchSettings, {"phases": phases})
    assert settings.phase_ends == pytest.approx([0.2, 0.9, 1.0])
    assert settings.phase_ends[-1] == 1.0
    assert [settings.batch_size_of(phase) for phase in range(3)] == [256, 64, 256]
    assert settings.longest == 512


@pytest.mark.parametrize("phases", [[], [{"share": 0.5}], [{"share": 0.9}, {"share": 0.2}]], ids=str)
def test_phases_that_are_not_the_whole_are_refused(phases):
    with pytest.raises(ConfigurationError, match=r"shares of the phases add up to .* instead of 1"):
        build_settings(BatchSettings, {"phases": phases})


@pytest.mark.parametrize(
    "cursor", [Cursor(window=1), Cursor(offset=10**6), Cursor(phase=2), Cursor(epoch=-1), Cursor(offset=-1)]
)
def test_a_place_that_does_not_exist_is_an_error_that_says_so(small_store, cursor):
    with pytest.raises(ConfigurationError, match="There is no sample at"):
        batches_of(small_store).batch(cursor)


# --- corpora that are too small ---------------------------------------------------------------------------------------


def test_a_corpus_smaller_than_a_batch_fills_it_with_several_epochs(make_store):
    batches = batches_of(make_store([[9, 9, 9], [9]]))
    batch, cursor = batches.batch(Cursor())
    assert batch.num_sequences == 32
    assert cursor.epoch > 3
    assert same(batches.batch(cursor)[0], batches_of(make_store([[9, 9, 9], [9]])).batch(cursor)[0])


def test_an_empty_split_is_an_error_that_says_so(small_store):
    with pytest.raises(InputError, match="this split of the token store is empty"):
        PretrainingBatches(small_store.held_out, small_store.tokenizer, SMALL, 0)


@pytest.mark.parametrize(
    ("documents", "problem"), [([[9] * 50], "a single document"), ([[9]] * 50, "every document is a single sentence")]
)
def test_text_without_pairs_is_an_error_that_says_what_to_do(make_store, documents, problem):
    store = make_store(documents)
    with pytest.raises(ConfigurationError, match=f"{problem}.*Prepare the text again.*or set next_sentence = false"):
        batches_of(store)
    batch, _ = batches_of(store, SMALL.model_copy(update={"next_sentence": False})).batch(Cursor())
    assert batch.num_sequences == 32


# --- the look inside --------------------------------------------------------------------------------------------------


def test_the_look_inside_shows_what_was_masked(small_store, tokenizer):
    batch, _ = batches_of(small_store).batch(Cursor())
    text = describe(batch, tokenizer).plain
    sample = batch.slice(0, 1)
    verdict = "comes from another document" if batch.not_next[0] else "follows A"
    assert text.startswith(
        f"The first of 32 samples: {sample.num_tokens} tokens, {len(sample.masked_labels)} to guess; B "
    )
    assert verdict in text
    assert text.count("{") == len(sample.masked_labels)
    shown = sample.inputs.token_ids[sample.masked_positions].tolist()
    for seen, label in zip(tokenizer.tokens(shown), tokenizer.tokens(sample.masked_labels.tolist()), strict=True):
        assert f"{seen}{{{label}}}" in text


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"masking_rate": 0.0}, "'masking_rate' = 0.0 is not usable"),
        ({"masking_rate": 1.0}, "'masking_rate' = 1.0 is not usable"),
        ({"max_seq_length": 7}, "'max_seq_length' = 7 is not usable"),
        ({"batch_size": 0}, "'batch_size' = 0 is not usable"),
        ({"max_predictions": 0}, "'max_predictions' = 0 is not usable"),
        ({"short_sequence_probability": 1.5}, "'short_sequence_probability' = 1.5 is not usable"),
        ({"mask_share": 0.95}, "'random_share' = 0.1 is not usable: with mask_share 0.95 it leaves less than nothing"),
        ({"masking_ratio": 0.2}, "There is no setting 'masking_ratio'. Did you mean 'masking_rate'?"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong, message):
    with pytest.raises(ConfigurationError) as error:
        build_settings(BatchSettings, wrong)
    assert message in str(error.value)


def test_shares_that_add_up_to_one_are_accepted():
    assert BatchSettings(mask_share=0.7, random_share=0.3).random_share == 0.3
