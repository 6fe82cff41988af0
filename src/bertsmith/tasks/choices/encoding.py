"""Questions -> what the network reads: a sequence for each choice (BERT 4.4).

    [CLS] context [SEP] question choice [SEP]

A is what is given, B what is asked or begun, with the choice after a blank. So SWAG becomes
`[CLS] sent1 [SEP] sent2 ending [SEP]`, as in the published set-ups (the paper: "the given sentence (sentence A) and a
possible continuation (sentence B)"), CODAH `[CLS] sentence [SEP] completion [SEP]`, DREAM
`[CLS] dialogue [SEP] question answer [SEP]`. Without a context A is the question and B the choice; without either, the
choice stands alone.

What is too long is cut at its end, the longer of A and B first, as for pairs of sentences and in the published code for
SWAG and RACE: of a passage the end is lost, and B only if it is longer than what is left of A. A question is counted as
cut if one of its sequences is.
"""

from collections.abc import Sequence

import numpy as np

from bertsmith.core.errors import ConfigurationError
from bertsmith.tasks.choices.examples import ChoiceExample
from bertsmith.tasks.encoded import EncodedExample, EncodedExamples, Ids
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.sequences import longest_first, sequence_of
from bertsmith.text.tokenizer import Tokenizer


def encode_choices(
    examples: Sequence[ChoiceExample], tokenizer: Tokenizer, limits: InputLimits, *, labelled: bool = True
) -> EncodedExamples:
    """One input for each question, of as many sequences as it has choices; its label is the right one's number."""
    if limits.long_texts != "cut":
        raise ConfigurationError("Questions with choices are not read in windows: leave --long-texts out.")
    contexts = tokenizer.encode_plain([example.context for example in examples])
    questions = tokenizer.encode_plain([example.question for example in examples])
    choices = iter(tokenizer.encode_plain([choice for example in examples for choice in example.choices]))
    rows, num_cut = [], 0
    for example, context, question in zip(examples, contexts, questions, strict=True):
        texts = [_two_texts(context, question, next(choices)) for _ in example.choices]
        sequences = [_sequence(first, second, tokenizer, limits.max_seq_length) for first, second in texts]
        label = None if not labelled else np.array(example.label, dtype=np.int64)
        rows.append(EncodedExample(tuple(ids for ids, _ in sequences), tuple(ids for _, ids in sequences), label))
        whole = max(_num_tokens(first, second) for first, second in texts)
        num_cut += whole > limits.max_seq_length
    return EncodedExamples(rows, limits, num_cut)


def _two_texts(context: Ids, question: Ids, choice: Ids) -> tuple[Ids, Ids | None]:
    """A and B of one choice."""
    if len(context):
        return context, np.concatenate([question, choice])
    return (question, choice) if len(question) else (choice, None)


def _num_tokens(first: Ids, second: Ids | None) -> int:
    """How many tokens a sequence has if nothing is cut."""
    return len(first) + (2 if second is None else len(second) + 3)


def _sequence(first: Ids, second: Ids | None, tokenizer: Tokenizer, max_seq_length: int) -> tuple[Ids, Ids]:
    """Token ids and segment ids of one choice, cut to length."""
    if second is None:
        return sequence_of(first[: max_seq_length - 2], None, tokenizer)
    keep_first, keep_second = longest_first(len(first), len(second), max_seq_length - 3)
    return sequence_of(first[:keep_first], second[:keep_second], tokenizer)
