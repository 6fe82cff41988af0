"""Sentences -> what the network reads: `[CLS] pieces of words [SEP]`, and which pieces are asked for a tag.

Each word is cut into pieces by itself, and its first piece is asked (BERT 5.3); a word without pieces, such as a
control character, counts as [UNK], so that every word can be asked.

What stands together is a stream of words: a sentence by itself; or, with document context, the sentences of a document
end to end, "the maximal document context provided by the data" (BERT 5.3). A stream that is too long for one input is
read in windows, in each of which the words are asked that have most context there (`tasks.windows`): every word exactly
once, in training, too.

Legend: W words of a stream, N words asked in a window, n tokens of a window.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from bertsmith.tasks.encoded import NO_LABEL, EncodedExample, EncodedExamples, Ids
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.tags.sentence import Sentence
from bertsmith.tasks.windows import Places, Window, windows
from bertsmith.text.tokenizer import Tokenizer

Context = Literal["sentence", "document"]


@dataclass(frozen=True, slots=True, eq=False)
class AskedWords:
    """The words that a window is asked for.

    positions  [N]  of their first pieces among the tokens of the window
    sentences  [N]  indices of their sentences among the examples
    words      [N]  their places in their sentences
    """

    positions: Places
    sentences: Places
    words: Places


def encode_sentences(
    sentences: Sequence[Sentence],
    tokenizer: Tokenizer,
    limits: InputLimits,
    context: Context,
    labels: Sequence[str] | None,
) -> EncodedExamples:
    """The windows of some sentences, in order. A word with more pieces than a window has room for is cut.

    labels  what the network gives for each token, by which tags become indices; None: the tags are unknown
    """
    room = limits.max_seq_length - 2
    pieces = _pieces({word for sentence in sentences for word in sentence.words}, tokenizer)
    too_long = {word for word, ids in pieces.items() if len(ids) > room}
    index = None if labels is None else {label: place for place, label in enumerate(labels)}
    rows: list[EncodedExample] = []
    for stream in _streams(sentences, context):
        words = [word for place in stream for word in sentences[place].words]
        lengths = [min(len(pieces[word]), room) for word in words]
        ids = [pieces[word][:room] for word in words]
        homes = np.repeat(stream, [len(sentences[place].words) for place in stream])  # [W]
        places = np.concatenate([np.arange(len(sentences[place].words)) for place in stream])  # [W]
        tags = None if index is None else _tag_indices([sentences[place] for place in stream], index)
        for window in windows(lengths, room, limits.stride):
            rows.append(_row(window, ids, lengths, homes, places, tags, tokenizer))
    num_cut = sum(not too_long.isdisjoint(sentence.words) for sentence in sentences)
    return EncodedExamples(rows, limits, num_cut, labels_per_token=True)


def _streams(sentences: Sequence[Sentence], context: Context) -> Iterator[list[int]]:
    """The sentences that are read together, by their indices. Those without words are left out."""
    with_words = [place for place, sentence in enumerate(sentences) if sentence.words]
    if context == "sentence":
        yield from ([place] for place in with_words)
        return
    for document, places in groupby(with_words, key=lambda place: sentences[place].document):
        stream = list(places)
        yield from ([place] for place in stream) if document is None else [stream]


def _pieces(words: set[str], tokenizer: Tokenizer) -> Mapping[str, Ids]:
    """The ids of each word, at least one."""
    in_order = sorted(words)
    unknown = np.array([tokenizer.unk_id], dtype=np.int32)
    encoded = tokenizer.encode_plain(in_order)
    return {word: ids if len(ids) else unknown for word, ids in zip(in_order, encoded, strict=True)}


def _tag_indices(sentences: Sequence[Sentence], index: Mapping[str, int]) -> Places:
    """The tags of a stream as indices of labels, [W]."""
    return np.array([index[tag] for sentence in sentences for tag in sentence.tags or ()], dtype=np.int64)


def _row(
    window: Window,
    ids: Sequence[Ids],
    lengths: Sequence[int],
    homes: Places,
    places: Places,
    tags: Places | None,
    tokenizer: Tokenizer,
) -> EncodedExample:
    """A window as the network reads it."""
    begin, end, asked = window
    token_ids = np.concatenate([[tokenizer.cls_id], *ids[begin:end], [tokenizer.sep_id]]).astype(np.int32)
    before = np.concatenate([[0], np.cumsum(lengths[begin:end])])
    positions = 1 + before[asked - begin]
    label = None
    if tags is not None:
        label = np.full(len(token_ids), NO_LABEL, dtype=np.int64)
        label[positions] = tags[asked]
    segment_ids = np.zeros(len(token_ids), dtype=np.int32)
    return EncodedExample((token_ids,), (segment_ids,), label, AskedWords(positions, homes[asked], places[asked]))
