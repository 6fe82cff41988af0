"""How exactly whole pieces hit the answers of question files: what a network of spans can say at all.

    python benchmarks/span_alignment.py DATA_FOLDER VOCABULARY [--rest]

DATA_FOLDER holds squad/, xquad/, tquad/ and cmrc2018/; VOCABULARY is a vocab.txt or a folder with one. For each
question whose answer stands at its offset: the text that is cut from the context by the first and the last piece of the
label, against the answer as the file has it, without blanks around it.

    exact       they are the same, character by character
    normalised  they are the same after SQuAD's normalisation
    at borders  the answer begins and ends at borders of pieces, so that whole pieces can hit it
    of these    share of those that are hit exactly

A network points at pieces. An answer that begins or ends within one (the "2,70" of "2,700", a Turkish noun without
its suffix) cannot be hit with this vocabulary, whatever is learnt; the label is the smallest run of whole pieces with
the answer in it. So "exact" is a property of annotation and vocabulary; the encoding is right if "of these" is 100 %.
`--rest` lists every question that is not hit, with the reason.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.spans.squad_file import Answer, read_questions
from bertsmith.tasks.spans.squad_scores import normalise
from bertsmith.tasks.spans.windows import NO_LESSON, encode_questions
from bertsmith.text.tokenizer import Tokenizer

FILES = ("squad/dev-v1.1*.json", "xquad/*.json", "tquad/*.json", "cmrc2018/*.json")
ONE_WINDOW = InputLimits(max_seq_length=1 << 20)


@dataclass(frozen=True)
class Hit:
    """An answer and what its label cuts from the context; `within`: the pieces that its ends lie in, in words."""

    id: str
    answer: str
    cut: str
    within: tuple[str, ...]


def hits(path: Path, tokenizer: Tokenizer) -> Iterator[Hit]:
    """One for each question whose answer stands at its offset."""
    questions = read_questions(path, "strict").rows
    for question, row in zip(
        questions, encode_questions(questions, tokenizer, ONE_WINDOW, labelled=True).rows, strict=True
    ):
        if question.lesson is None:
            continue
        assert row.label is not None
        assert row.label[0] != NO_LESSON
        offsets = row.origin.offsets
        first, last = row.label - row.origin.begin
        cut = question.context[offsets[first, 0] : offsets[last, 1]]
        begin = question.lesson.end - len(question.lesson.text.lstrip())
        answer = Answer(question.lesson.text.strip(), begin)
        within = []
        for name, place in (("begins", answer.start), ("ends", answer.end)):
            (pieces,) = np.nonzero((offsets[:, 0] < place) & (place < offsets[:, 1]))
            within += [f"{name} within '{question.context[slice(*offsets[piece])]}'" for piece in pieces[:1]]
        yield Hit(question.id, answer.text, cut, tuple(within))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("vocabulary", nargs="?", type=Path)
    parser.add_argument("--rest", action="store_true")
    choice = parser.parse_args()
    if choice.vocabulary is None:
        print("span_alignment.py measures question files: call it with their folder and a vocabulary, or with --help.")
        return
    tokenizer = Tokenizer.load(choice.vocabulary)
    print(f"{'file':28} {'questions':>9} {'exact':>9} {'normalised':>10} {'at borders':>10} {'of these':>9}")
    everything: list[Hit] = []
    for path in sorted(path for pattern in FILES for path in choice.data.glob(pattern)):
        found = list(hits(path, tokenizer))
        everything += found
        print(row_of(path.name, found), flush=True)
        for hit in found if choice.rest else ():
            if hit.cut != hit.answer:
                print(f"    {hit.id}: '{hit.answer}' {' and '.join(hit.within)}; cut is '{hit.cut}'")
    print(row_of("all", everything))


def row_of(name: str, found: list[Hit]) -> str:
    """One line of the table."""
    exact = np.array([hit.cut == hit.answer for hit in found])
    normalised = np.array([normalise(hit.cut) == normalise(hit.answer) for hit in found])
    at_borders = np.array([not hit.within for hit in found])
    shares = f"{exact.mean():9.3%} {normalised.mean():10.3%} {at_borders.mean():10.3%} {exact[at_borders].mean():9.3%}"
    return f"{name:28} {len(found):9,} {shares}"


if __name__ == "__main__":
    main()
