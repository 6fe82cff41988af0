"""Paragraphs to sentences."""

import os
import re
import time
from pathlib import Path

import pytest
import sentencex
from hypothesis import given, settings
from hypothesis import strategies as st

from bertsmith.text import sentences as sentences_module
from bertsmith.text.sentences import MAX_SENTENCE_CHARACTERS, split_sentences


@pytest.mark.parametrize(
    ("language", "text", "sentences"),
    [
        ("en", "", []),
        ("en", " \n \n", []),
        ("en", "One sentence", ["One sentence"]),
        ("en", "  Mr. Smith came. He left!  Why?  ", ["Mr. Smith came.", "He left!", "Why?"]),
        ("en", "A heading\nand a line. Another", ["A heading", "and a line.", "Another"]),
        ("en", "It cost 3.50 in the U.S. in 1999.", ["It cost 3.50 in the U.S. in 1999."]),
        ("en", '"Stop!" he said. "Now."', ['"Stop!" he said.', '"Now."']),
        ("de", "Das ist z. B. gut. Ja.", ["Das ist z. B. gut.", "Ja."]),
        ("zh", "你好。我很好！", ["你好。", "我很好！"]),  # noqa: RUF001
        ("unheard-of", "One. Two.", ["One.", "Two."]),
    ],
)
def test_sentences_are_those_of_sentencex_and_never_cross_a_line_break(language, text, sentences):
    assert split_sentences(text, "sentencex", language) == sentences


def test_newline_takes_every_line_as_a_sentence():
    text = "One. Two.\n\n  Mr. Smith came. \n\t\nThree"
    assert split_sentences(text, "newline", "en") == ["One. Two.", "Mr. Smith came.", "Three"]


@pytest.mark.parametrize("splitter", ["sentencex", "newline"])
@pytest.mark.parametrize("text", ["x" * 100_000, "word " * 20_000, "语" * 50_000])
def test_a_sentence_of_enormous_length_is_cut_and_nothing_is_lost(splitter, text):
    sentences = split_sentences(text, splitter, "en")
    assert max(map(len, sentences)) <= MAX_SENTENCE_CHARACTERS
    assert " ".join(sentences).replace(" ", "") == text.replace(" ", "")
    assert all(sentence.split(" ")[0] == "word" for sentence in sentences if "w" in sentence)


def test_a_long_paragraph_gives_the_sentences_that_sentencex_gives_in_one_go():
    paragraph = " ".join(f"Sentence number {number} (of many, e.g. Mr. Smith's) is here." for number in range(3_000))
    assert len(paragraph) > 5 * MAX_SENTENCE_CHARACTERS
    expected = [segment.strip() for segment in sentencex.segment("en", paragraph)]
    assert split_sentences(paragraph, "sentencex", "en") == expected


@pytest.mark.parametrize("unit", ["好的。", 'a!"', "“a", "A. "])
def test_time_stays_in_proportion_where_sentencex_takes_the_square(unit):
    started = time.process_time()
    split_sentences(unit * (200_000 // len(unit)), "sentencex", "en")
    assert time.process_time() - started < 10  # sentencex alone: half a minute and more


@pytest.mark.parametrize("space", ["\u00a0", "\u2009", "\u3000", "\u2028", "\x85", " \u2003", "\u00a0\u2002"])
@pytest.mark.parametrize("language", ["en", "de", "ru", "kk", "el"])
def test_a_capital_letter_a_wide_space_and_a_full_stop_do_not_stop_the_work(space, language):
    (sentence,) = split_sentences(f"So said J{space}. Smith", "sentencex", language)
    assert sentence.split() == ["So", "said", "J", ".", "Smith"]


@pytest.mark.parametrize("space", ["\u00a0", "\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\x85"])
@pytest.mark.parametrize("language", ["en", "de", "ru", "kk", "tt", "hi"])
def test_whatever_stands_before_a_wide_space_and_a_full_stop_the_work_goes_on(space, language):
    for before in ("Автор S.", "S", "a", "Dr.", "3", ")", space, f"S.{space}.", ""):
        text = f"{before}{space}. Деп."
        sentences = split_sentences(text, "sentencex", language)
        assert "".join("".join(sentences).split()) == "".join(text.split())


def test_a_paragraph_at_which_the_splitter_panics_is_one_sentence(monkeypatch):
    monkeypatch.setattr(sentences_module, "_WIDE_SPACE_BEFORE_STOP", re.compile("(?!)"))  # nothing is made a blank
    text = "One. Two.\nOne. Автор S.\u00a0. Деп.\nThree. Four."
    expected = ["One.", "Two.", "One. Автор S.\u00a0. Деп.", "Three.", "Four."]
    assert split_sentences(text, "sentencex", "kk") == expected


def test_an_error_that_is_no_panic_is_raised():
    with pytest.raises(TypeError):
        split_sentences("One. Two.", "sentencex", None)


TRICKY = st.text(
    st.sampled_from("AZaz19 .!?…\"'“”«»()[]-—•*\n\t\u00a0\u2003\u2028\u3000\x85\u0301éßİ語。！？।ñ😀@/:")  # noqa: RUF001
    | st.characters(exclude_categories=["Cs"]),
    max_size=60,
)


@given(TRICKY, st.sampled_from(["en", "de", "fr", "ru", "kk", "el", "hi", "zh", "ja", "ar", "my", "hy", "am", "xx"]))
@settings(max_examples=1000)
def test_any_text_is_split_without_loss(text, language):
    sentences = split_sentences(text, "sentencex", language)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence == sentence.strip() != "" for sentence in sentences)


DATA = Path(os.environ.get("BERTSMITH_DATA", Path.home() / ".cache" / "bertsmith-data"))


@pytest.mark.skipif(not (DATA / "udhr2").is_dir(), reason=f"needs {DATA}/udhr2: one text in 388 languages")
def test_text_in_388_languages_is_split_without_loss():
    for path in sorted((DATA / "udhr2").glob("*.txt")):
        text = path.read_bytes().decode("utf-8", "replace")
        sentences = split_sentences(text, "sentencex", path.stem[:3])
        assert "".join("".join(sentences).split()) == "".join(text.split())
