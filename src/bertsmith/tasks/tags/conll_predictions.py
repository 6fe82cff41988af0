"""Predictions as a file in CoNLL's columns: `word gold predicted`, which `conlleval` scores.

    -DOCSTART- O O

    EU B-ORG B-ORG
    rejects O O

Tags are in IOB2, whatever the scheme they were read in. `-DOCSTART-` lines and blank lines stand between the sentences
as they stood in the file that was read. Columns are cut at blanks, as conlleval has it, so white space in a word (of a
file that tags characters, say) is written as _. Without gold tags there are two columns.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bertsmith.tasks.tags.conll_file import DOCUMENT_START
from bertsmith.tasks.tags.decoding import TagPrediction
from bertsmith.tasks.tags.schemes import OUTSIDE
from bertsmith.tasks.tags.sentence import Sentence

_WHITE_SPACE = re.compile(r"\s")


def write_conll_predictions(path: Path, sentences: Sequence[Sentence], predictions: Sequence[TagPrediction]) -> None:
    """Write a file: all sentences with their predicted tags, with gold tags if they have some."""
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.writelines(f"{line}\n" for line in conll_lines(sentences, predictions))


def conll_lines(sentences: Sequence[Sentence], predictions: Sequence[TagPrediction]) -> Iterator[str]:
    """The lines of such a file."""
    num_documents = 0
    for sentence, prediction in zip(sentences, predictions, strict=True):
        num_columns = 1 if sentence.tags is None else 2
        for _ in range(num_documents, sentence.document or 0):
            yield " ".join([DOCUMENT_START] + [OUTSIDE] * num_columns)
            yield ""
        num_documents = max(num_documents, sentence.document or 0)
        columns = [prediction.tags] if sentence.tags is None else [sentence.tags, prediction.tags]
        for word, *tags in zip(sentence.words, *columns, strict=True):
            yield " ".join([_WHITE_SPACE.sub("_", word), *tags])
        yield ""
