"""Learning a vocabulary: the layout, the size, the same bytes each time, and what the report says."""

import json
import os
import random
import subprocess
import sys
from collections import Counter

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, trainers
from transformers import AutoTokenizer

from bertsmith.core.artefact import read_manifest, verify_artefact
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ArtefactExists, ConfigurationError, InputError
from bertsmith.text.pieces import SPECIAL_PIECES
from bertsmith.text.tokenizer import Tokenizer, word_stages
from bertsmith.text.vocabulary import VocabConfig, choose_alphabet, learn_pieces, reserved_pieces, scale_counts, vocab
from bertsmith.text.vocabulary_report import measure_vocabulary
from bertsmith.text.word_counts import WordCounts

UNCASED = {"lowercase": True, "strip_accents": None, "handle_chinese_chars": True}


def some_text(num_words: int, seed: int = 0) -> str:
    """Words made of syllables, frequent ones and rare ones as in a language, with punctuation."""
    rng = random.Random(seed)
    syllables = [first + second for first in "bdfgklmnprst" for second in ("a", "e", "i", "o", "an", "er")]
    lexicon = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(3000)]
    chosen = rng.choices(lexicon, weights=[1 / rank for rank in range(1, 3001)], k=num_words)
    text = [word.capitalize() + "," if rng.random() < 0.1 else word for word in chosen]
    return "\n".join(" ".join(text[start : start + 12]) + "." for start in range(0, num_words, 12))


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "some.txt"
    path.write_text(some_text(30_000), encoding="utf-8")
    return path


def learn(path, out, **options):
    return vocab(VocabConfig(inputs=(str(path),), out=out, **options))


def pieces_of(folder):
    return (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]


# --- the layout ---------------------------------------------------------------------------------------------------


def test_the_reserved_pieces_stand_where_the_published_vocabulary_has_them(text_file, tmp_path):
    pieces = pieces_of(learn(text_file, tmp_path / "v", size=1000))
    assert pieces[0] == "[PAD]"
    assert pieces[1:100] == [f"[unused{number}]" for number in range(99)]
    assert pieces[100:104] == ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert pieces[104:].index("a") < pieces[104:].index("##a") < pieces[104:].index("##an")
    assert pieces_of(learn(text_file, tmp_path / "w", size=500, unused=0))[:5] == list(SPECIAL_PIECES)


def test_the_size_is_exact_when_the_text_has_enough(text_file, tmp_path):
    for size in (200, 1000, 1777):
        folder = learn(text_file, tmp_path / str(size), size=size)
        assert len(pieces_of(folder)) == size == len(set(pieces_of(folder)))
        assert read_manifest(folder, "vocabulary").facts["pieces"] == size


def test_a_text_without_enough_pieces_says_how_many_it_had(text_file, tmp_path, capsys):
    folder = learn(text_file, tmp_path / "v", size=30_000)
    pieces = len(pieces_of(folder))
    assert 2000 < pieces < 30_000
    said = " ".join(capsys.readouterr().err.split())
    assert f"The text gave {pieces:,} pieces, not 30,000" in said


def test_more_is_learned_in_the_same_order(text_file, tmp_path):
    small, large = (pieces_of(learn(text_file, tmp_path / str(size), size=size)) for size in (500, 900))
    assert large[:500] == small


def test_the_result_is_an_artefact_that_transformers_loads(text_file, tmp_path):
    folder = learn(text_file, tmp_path / "v", size=1000)
    assert verify_artefact(folder, "vocabulary").command == "vocab"
    text = some_text(200, seed=1)
    (ours,) = Tokenizer.load(folder).encode_plain([text])
    assert ours.tolist() == AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False)["input_ids"]


# --- the same bytes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("parallel", "threads"), [("false", "1"), ("true", "1"), ("true", "3")])
def test_the_bytes_do_not_depend_on_threads_or_the_process(text_file, tmp_path, parallel, threads):
    here = learn(text_file, tmp_path / "here", size=1500)
    program = (
        "import sys; from bertsmith.text.vocabulary import VocabConfig, vocab; "
        "vocab(VocabConfig(inputs=(sys.argv[1],), out=sys.argv[2], size=1500))"
    )
    environment = os.environ | {"TOKENIZERS_PARALLELISM": parallel, "RAYON_NUM_THREADS": threads}
    there = tmp_path / "there"
    subprocess.run([sys.executable, "-c", program, str(text_file), str(there)], env=environment, check=True)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == {
        path.name: path.read_bytes() for path in there.iterdir()
    }


@settings(max_examples=60)
@given(st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=30), st.integers(0, 60))
def test_ties_are_broken_in_one_way(words, more):
    counts = Counter(words)
    alphabet = choose_alphabet(counts, None)
    size = 2 * len(alphabet) + more
    first = learn_pieces(counts, size, min_frequency=1, alphabet=alphabet)
    for _ in range(3):
        shuffled = dict(random.sample(list(counts.items()), len(counts)))
        assert learn_pieces(shuffled, size, min_frequency=1, alphabet=alphabet) == first


def test_what_is_learned_is_what_the_library_learns_from_the_plain_text(text_file):
    text = text_file.read_text(encoding="utf-8")
    normaliser, pre_tokeniser = word_stages(**UNCASED)
    plain = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    plain.normalizer, plain.pre_tokenizer = normaliser, pre_tokeniser
    plain.train_from_iterator([text], trainers.WordPieceTrainer(vocab_size=1500, min_frequency=2, show_progress=False))
    counts = WordCounts(normaliser, pre_tokeniser)
    counts.add(text)
    words = counts.finish()
    ours = learn_pieces(words, 1500, min_frequency=2, alphabet=choose_alphabet(words, None))
    assert len(set(ours) & set(plain.get_vocab())) >= 1490  # the rest are ties


# --- counting -----------------------------------------------------------------------------------------------------

odd_text = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(" \n\t\r\x1c\x85\xa0\u200b\u2028\u3000"),
        st.sampled_from("aAbé.,-'中\u0301İßΣ한\x00"),
    )
)


def counted_directly(text: str, stages) -> Counter[str]:
    normaliser, pre_tokeniser = stages
    return Counter(word for word, _ in pre_tokeniser.pre_tokenize_str(normaliser.normalize_str(text)))


@settings(max_examples=200)
@given(odd_text, st.booleans(), st.sampled_from([None, True, False]), st.booleans())
def test_counting_chunks_is_counting_words(text, lowercase, strip_accents, chinese):
    stages = word_stages(lowercase=lowercase, strip_accents=strip_accents, handle_chinese_chars=chinese)
    counts = WordCounts(*stages)
    counts.add(text)
    expected = counted_directly(text, stages)
    assert counts.finish() == {word: count for word, count in expected.items() if len(word) <= 100}
    assert counts.num_words == expected.total()


def test_words_of_more_than_a_hundred_characters_are_counted_apart():
    counts = WordCounts(*word_stages(**UNCASED))
    counts.add(f"{'a' * 100} {'b' * 101} c {'b' * 101}")
    assert counts.finish() == {"a" * 100: 1, "c": 1}
    assert (counts.num_words, counts.num_too_long) == (4, 2)


def test_a_full_table_forgets_rare_words_and_says_how_many():
    counts = WordCounts(*word_stages(**UNCASED), max_words=1000)
    for block in range(20):
        rare = " ".join(f"r{block}x{number}" for number in range(700))
        counts.add(f"{'often ' * 50} {'frequent ' * 40} {rare}")
        counts.finish()
    words = counts.finish()
    assert len(words) <= 1000
    assert list(words.items())[:2] == [("often", 1000), ("frequent", 800)]
    assert counts.num_forgotten > 10_000
    assert sum(words.values()) + counts.num_forgotten == counts.num_words == 20 * (50 + 40 + 700)


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=50), st.integers(1, 20_000))
def test_scaled_counts_keep_their_proportions(numbers, limit):
    words = {f"w{index}": number for index, number in enumerate(sorted(numbers, reverse=True))}
    scaled = scale_counts(words, limit)
    total = sum(words.values())
    assert sum(scaled.values()) == min(total, limit)
    for word, count in words.items():
        assert abs(scaled.get(word, 0) - count * min(1, limit / total)) <= 1


@pytest.mark.slow
def test_large_counts_are_learned_from_like_small_ones():
    counts = Counter(some_text(5000).replace(".", " ").lower().split())
    alphabet = choose_alphabet(counts, None)
    huge = {word: count * 10**7 for word, count in counts.items()}  # pairs beyond 32 bits
    learned = [set(learn_pieces(words, 600, min_frequency=2, alphabet=alphabet)) for words in (counts, huge)]
    assert len(learned[0] & learned[1]) > 570


# --- options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected", "absent"),
    [
        ({}, ["cafe", "中", "文"], ["Cafe", "café", "中文"]),
        ({"strip_accents": False}, ["café"], ["cafe", "Café"]),
        ({"cased": True}, ["Café"], ["café", "Cafe"]),
        ({"cased": True, "strip_accents": True}, ["Cafe"], ["café", "Café"]),
        ({"handle_chinese_chars": False}, ["中文"], []),
    ],
)
def test_casing_accents_and_chinese_characters(tmp_path, options, expected, absent):
    (tmp_path / "t.txt").write_text("Café 中文\n" * 100, encoding="utf-8")
    folder = learn(tmp_path / "t.txt", tmp_path / "v", size=200, **options)
    assert set(expected) <= set(pieces_of(folder))
    assert not set(absent) & set(pieces_of(folder))
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.unk_id not in tokenizer.encode("Café 中文")


def test_the_alphabet_is_the_most_frequent_characters():
    words = {"aab": 100, "bc": 10, "d": 1, "é": 1}
    assert choose_alphabet(words, 2) == ["a", "b"]
    assert choose_alphabet(words, 4) == ["a", "b", "c", "d"]  # of equals the first
    assert choose_alphabet(words, None) == ["a", "b", "c", "d", "é"]
    assert choose_alphabet(words | {"a": 10**6}, None) == ["a", "b"]
    assert choose_alphabet({}, None) == []


def test_words_outside_the_alphabet_teach_nothing():
    pieces = learn_pieces({"abx": 100, "ab": 3, "ba": 2}, 10, min_frequency=1, alphabet=["a", "b"])
    assert pieces == ["a", "b", "##a", "##b", "ab", "ba"]


def test_an_alphabet_without_a_word_is_refused():
    with pytest.raises(ConfigurationError, match="An alphabet of 1 characters has no word of the text in it"):
        learn_pieces({"ab": 3, "cd": 2}, 10, min_frequency=1, alphabet=["a"])


def test_only_characters_within_words_have_continuations():
    pieces = learn_pieces({"ab": 3, ".": 3}, 10, min_frequency=5, alphabet=[".", "a", "b"])
    assert pieces == [".", "a", "b", "##b"]


def test_an_alphabet_that_has_no_room_is_refused(text_file, tmp_path):
    with pytest.raises(ConfigurationError, match=r"alphabet alone takes \d+ pieces .* room for 10"):
        learn(text_file, tmp_path / "v", size=114)
    assert not (tmp_path / "v").exists()
    learn(text_file, tmp_path / "v", size=114, limit_alphabet=4)


def test_a_size_without_room_for_the_reserved_pieces_is_refused(text_file, tmp_path):
    with pytest.raises(ConfigurationError, match="size 104 has no room beside 104 reserved pieces"):
        build_settings(VocabConfig, {"inputs": [str(text_file)], "out": str(tmp_path / "v"), "size": 104})


def test_a_text_without_words_is_refused(tmp_path):
    (tmp_path / "t.txt").write_text(" \n\t\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"There are no words in .*t\.txt"):
        learn(tmp_path / "t.txt", tmp_path / "v")


def test_a_target_that_exists_is_refused_before_anything_is_read(text_file, tmp_path):
    learn(text_file, tmp_path / "v", size=300)
    with pytest.raises(ArtefactExists):
        learn(tmp_path / "nothing.txt", tmp_path / "v", size=300)


# --- the report ---------------------------------------------------------------------------------------------------


def test_the_report_counts_what_encodes():
    tokenizer = Tokenizer([*reserved_pieces(0), "the", "cat", "##s", "ж", ",", "1"])
    counts = WordCounts(*word_stages(**UNCASED))
    counts.add(f"the cats, the dog, ж жж 1 2 {'x' * 101}")
    report = measure_vocabulary(tokenizer, counts.finish(), counts)
    assert (report.pieces, report.alphabet, report.continuations, report.words) == (11, 3, 1, 11)
    assert report.unknown_words == pytest.approx(4 / 11)  # dog, жж, 2, xx...x
    assert report.fertility == pytest.approx((1 + 2 + 1 + 1 + 1 + 1 + 1 + 4) / 11)
    assert report.too_long_words == 1
    scripts = {script.script: script for script in report.scripts}
    assert list(scripts) == ["Common", "Latin", "Cyrillic"]
    assert scripts["Latin"].words == 4
    assert scripts["Latin"].known_words == 3 / 4
    assert scripts["Latin"].fertility == 4 / 3
    assert scripts["Cyrillic"].known_words == 1 / 2
    assert scripts["Cyrillic"].known_characters == 1
    assert scripts["Common"].known_words == 3 / 4


def test_the_report_is_in_the_manifest_and_on_the_screen(text_file, tmp_path, capsys):
    folder = learn(text_file, tmp_path / "v", size=1000)
    facts = read_manifest(folder, "vocabulary").facts
    assert json.loads(json.dumps(facts)) == facts
    assert facts["words"] == sum(
        counted_directly(text_file.read_text(encoding="utf-8"), word_stages(**UNCASED)).values()
    )
    assert facts["unknown_words"] == 0
    assert 1 < facts["fertility"] < 2
    assert facts["text"]["files"] == 1
    assert [script["script"] for script in facts["scripts"]] == ["Latin", "Common"]
    said = capsys.readouterr().err
    assert "1,000 pieces" in said
    assert "Latin" in said
