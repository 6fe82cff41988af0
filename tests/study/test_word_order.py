"""The task: half of the sentences have two neighbouring words swapped, and nothing else tells which."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bertsmith.core.randomness import generator
from bertsmith.study.word_order import INTACT, SWAPPED, make_examples, sentences, swap_two_words, word_count_accuracy

SENTENCES = [f"The {a} of every {b} is larger than its {c} by far." for a in "abc" for b in "defg" for c in "hijkl"]


def test_sentences_are_split_measured_and_kept_once():
    paragraphs = [
        "Too short. This sentence has more than five words. " + "word " * 40 + "end.",
        "This sentence has more than five words.",
    ]
    assert sentences(paragraphs) == ["This sentence has more than five words."]


def test_a_swap_exchanges_two_plain_neighbours_and_leaves_the_ends_alone():
    sentence = "Return the new array, or None if nothing at all was found."
    seen = {swap_two_words(sentence, generator(0, "test", index)) for index in range(200)}
    assert seen == {
        "Return new the array, or None if nothing at all was found.",
        "Return the new array, or None nothing if at all was found.",
        "Return the new array, or None if at nothing all was found.",
        "Return the new array, or None if nothing all at was found.",
        "Return the new array, or None if nothing at was all found.",
    }


def test_a_sentence_without_two_plain_neighbours_cannot_be_swapped():
    assert swap_two_words("This, that, those, these, others.", generator(0, "test")) is None
    assert swap_two_words("It is very very very very good.", generator(0, "test")) is not None
    assert swap_two_words("So very very very very good.", generator(0, "test")) is None


@given(st.integers(2, 60), st.integers(0, 1000))
def test_examples_are_balanced_distinct_and_made_of_the_same_words(count, seed):
    examples = make_examples(SENTENCES, count, generator(seed, "test"))
    labels = Counter(example.label for example in examples)
    assert len(examples) == count
    assert 0 <= labels[INTACT] - labels[SWAPPED] <= 1
    originals = Counter(" ".join(sorted(sentence.split())) for sentence in SENTENCES)
    assert not Counter(" ".join(sorted(example.text.split())) for example in examples) - originals
    for example in examples:
        assert (example.text in SENTENCES) == (example.label == INTACT)


def test_counting_words_does_not_solve_the_task():
    examples = make_examples(SENTENCES, 60, generator(0, "test"))
    only_words = [type(example)(" ".join(sorted(example.text.split())), example.label) for example in examples]
    assert word_count_accuracy(only_words[:30], only_words[30:]) < 0.75
