"""Texts -> what the network reads: `[CLS] text [SEP]`, with one [MASK] in the text or in the template around it.

The template and the [MASK] are never cut. Of a text in a template the end is cut; of one with its own [MASK] what is
farthest from it, on the side where more stands. The template's parts and the text are encoded each by itself, so a
word ends where a part ends. A [MASK] in a text whose template has one is ordinary text.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bertsmith.core.errors import ConfigurationError
from bertsmith.tasks.encoded import EncodedExample, EncodedExamples, Ids
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.masked_words.template import Template
from bertsmith.tasks.sequences import longest_first
from bertsmith.text.pieces import MASK
from bertsmith.text.tokenizer import Tokenizer


def encode_masked(
    texts: Sequence[str],
    template: Template,
    tokenizer: Tokenizer,
    limits: InputLimits,
    answers: npt.NDArray[np.int64] | None,
) -> EncodedExamples:
    """One input for each text.

    answers  [N]  int64, the number of the right output; None: unknown
    """
    if limits.long_texts != "cut":
        raise ConfigurationError("Texts with a [MASK] are not read in windows: leave --long-texts out.")
    before = np.concatenate([[tokenizer.cls_id], _with_mask(template.before, tokenizer)])
    after = np.concatenate([_with_mask(template.after, tokenizer), [tokenizer.sep_id]])
    room = limits.max_seq_length - len(before) - len(after)
    if room < 1:
        raise ConfigurationError(
            f"The template has {len(before) + len(after)} tokens and leaves no room for a text in "
            f"{limits.max_seq_length}. Raise --max-seq-length, or shorten it."
        )
    parts = [(text, "") if template.has_mask else tuple(text.split(MASK)) for text in texts]
    lefts = tokenizer.encode_plain([left for left, _ in parts])
    rights = tokenizer.encode_plain([right for _, right in parts])
    mask = np.array([] if template.has_mask else [tokenizer.mask_id], dtype=np.int32)
    rows, num_cut = [], 0
    for index, (left, right) in enumerate(zip(lefts, rights, strict=True)):
        kept = left[:room] if template.has_mask else _around(left, mask, right, room)
        ids = np.concatenate([before, kept, after]).astype(np.int32)
        label = None if answers is None else answers[index, ...]
        rows.append(EncodedExample((ids,), (np.zeros(len(ids), dtype=np.int32),), label, tokenizer.pieces))
        num_cut += len(kept) < len(left) + len(mask) + len(right)
    return EncodedExamples(rows, limits, num_cut)


def _with_mask(text: str, tokenizer: Tokenizer) -> Ids:
    """The ids of a part of a template, in which [MASK] is the piece."""
    pieces = tokenizer.encode_plain(text.split(MASK))
    return pieces[0] if len(pieces) == 1 else np.concatenate([pieces[0], [tokenizer.mask_id], pieces[1]])


def _around(left: Ids, mask: Ids, right: Ids, room: int) -> Ids:
    """The [MASK] with what stands nearest to it, at most `room` tokens."""
    num_left, num_right = longest_first(len(left), len(right), room - 1)
    return np.concatenate([left[len(left) - num_left :], mask, right[:num_right]])
