"""Words as pieces of the vocabulary: what stands at one [MASK] is one piece."""

from collections.abc import Mapping, Sequence

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.tasks.sentences.examples import SentenceExample
from bertsmith.text.tokenizer import Tokenizer


def piece_id(word: str, tokenizer: Tokenizer) -> int:
    """The id of a word that is one piece, or of a piece that is written as in the vocabulary ("##s").

    raises  ValueError with the pieces that it has instead
    """
    ids = tokenizer.encode_plain([word])[0].tolist()
    if len(ids) == 1 and ids[0] != tokenizer.unk_id:
        return int(ids[0])
    if word in tokenizer.pieces and tokenizer.pieces.index(word) not in tokenizer.special_ids:
        return tokenizer.pieces.index(word)
    pieces = " ".join(tokenizer.tokens(ids)) or "no piece at all"
    raise ValueError(f"'{word}' is not one piece of the vocabulary: it is {pieces}")


def label_ids(words: Mapping[str, str], tokenizer: Tokenizer) -> dict[str, int]:
    """The piece of each label, labels in code-point order.

    raises  ConfigurationError for a word that is not one piece, and for two labels with the same
    """
    ids: dict[str, int] = {}
    for label, word in sorted(words.items()):
        try:
            index = piece_id(word, tokenizer)
        except ValueError as error:
            raise ConfigurationError(
                f"The word of the label '{label}' cannot be used: {error}. Choose another."
            ) from None
        if index in ids.values():
            raise ConfigurationError(
                f"Two labels have the word '{tokenizer.pieces[index]}', '{label}' is one of them. Give each its own."
            )
        ids[label] = index
    return ids


def answer_ids(examples: Sequence[SentenceExample], tokenizer: Tokenizer) -> list[int]:
    """The piece that is the answer of each example. Raises InputError by line for those that are not one piece."""
    ids: list[int] = []
    refused: list[str] = []
    for example in examples:
        try:
            ids.append(piece_id(str(example.label), tokenizer))
        except ValueError as error:
            refused.append(f"line {example.line}: {error}")
    if refused:
        raise InputError(
            f"{len(refused):,} of {len(examples):,} answers cannot be given at one [MASK]; the first on {refused[0]}. "
            f"Leave such rows out of the file."
        )
    return ids
