"""Minimal pairs: those that bertsmith brings, how a file is read, and how pairs are counted."""

import importlib.resources
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tokenizers.pre_tokenizers import BertPreTokenizer

from bertsmith.core.errors import InputError
from bertsmith.model.bert import BertForMaskedLM
from bertsmith.model.configuration import BertConfig
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.minimal_pairs import PairAccuracy, read_minimal_pairs, score_minimal_pairs

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HEADER = "phenomenon\tkind\tgood\tbad\n"


@dataclass(frozen=True)
class Row:
    phenomenon: str
    kind: str
    good: str
    bad: str

    @property
    def words(self) -> tuple[list[str], list[str]]:
        """Both sentences as a BERT sees them."""
        split = BertPreTokenizer().pre_tokenize_str
        return tuple([word for word, _ in split(text.lower())] for text in (self.good, self.bad))


@pytest.fixture(scope="module")
def english() -> list[Row]:
    text = (importlib.resources.files("bertsmith.training") / "pairs/english.tsv").read_text(encoding="utf-8")
    assert text.startswith(HEADER)
    return [Row(*line.split("\t")) for line in text.removeprefix(HEADER).splitlines()]


@pytest.fixture(scope="module")
def tokenizer(english) -> Tokenizer:
    """Every word of the English pairs is a piece."""
    return Tokenizer([*SPECIAL, *sorted({word for row in english for words in row.words for word in words})])


def unigram_network(tokenizer: Tokenizer, seed: int = 0) -> BertForMaskedLM:
    """It gives each piece its frequency, whatever it reads."""
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = BertForMaskedLM(BertConfig(vocab_size=tokenizer.vocabulary_size, max_position_embeddings=40, **shape))
    with torch.no_grad():
        model.bert.embeddings.tokens.weight.zero_()
        model.masked_lm.bias.normal_(std=3.0, generator=torch.Generator().manual_seed(seed))
    return model


# --- the pairs that bertsmith brings ----------------------------------------------------------------------------------


def test_there_are_forty_pairs_of_each_phenomenon_and_no_sentence_twice(english):
    counts = Counter(row.phenomenon for row in english)
    assert set(counts) == {"agreement", "negation", "word_order"}
    assert min(counts.values()) >= 40
    assert min(Counter((row.phenomenon, row.kind) for row in english).values()) >= 12
    assert len({sentence for row in english for sentence in (row.good, row.bad)}) == 2 * len(english)


def test_a_pair_differs_in_one_word_or_in_the_order_of_its_words(english):
    for row in english:
        good, bad = row.words
        changed = sum(left != right for left, right in zip(good, bad, strict=True))
        assert good != bad
        assert sorted(good) == sorted(bad) or (changed == 1 and row.phenomenon != "word_order"), row
        assert row.good[0].isupper()
        assert row.bad[0].isupper()
        assert row.good[-1] == row.bad[-1] in ".?"


def test_the_words_that_are_changed_are_balanced_in_each_kind(english):
    """As often as "runs" is right and "run" wrong, it is the other way round."""
    changes = Counter()
    for row in english:
        good, bad = row.words
        if sorted(good) != sorted(bad):
            ((right, wrong),) = [(left, right) for left, right in zip(good, bad, strict=True) if left != right]
            changes[row.kind, right, wrong] += 1
    assert len(changes) > 40
    for (kind, right, wrong), number in changes.items():
        assert changes[kind, wrong, right] == number, (kind, right, wrong)


@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_knows_only_frequencies_is_at_chance_in_every_kind(tokenizer, seed):
    pairs = read_minimal_pairs("english", tokenizer, max_positions=40)
    scores = score_minimal_pairs(unigram_network(tokenizer, seed), tokenizer, pairs, batch_tokens=2000)
    assert all(score.accuracy == 0.5 for score in scores.phenomena.values())
    assert all(score.accuracy == 0.5 for kinds in scores.kinds.values() for score in kinds.values())


# --- how pairs are counted --------------------------------------------------------------------------------------------


def test_the_likelier_sentence_wins_and_a_tie_counts_half(tmp_path):
    tokenizer = Tokenizer([*SPECIAL, "common", "rare"])
    model = unigram_network(tokenizer)
    with torch.no_grad():
        model.masked_lm.bias.copy_(torch.tensor([0.0] * 5 + [5.0, 1.0]))
    (tmp_path / "pairs.tsv").write_text(
        HEADER
        + "choice\tcommoner\tcommon\trare\n"
        + "choice\trarer\trare\tcommon\n"
        + "choice\trarer\trare rare\trare common\n"
        + "order\tswap\tcommon rare\trare common\n"
        + "choice\tcommoner\trare common\trare rare\n"
        + "choice\tcommoner\tcommon common\tcommon rare\n"
    )
    pairs = read_minimal_pairs(tmp_path / "pairs.tsv", tokenizer, max_positions=40)
    scores = score_minimal_pairs(model, tokenizer, pairs, batch_tokens=30)
    assert scores.phenomena == {"choice": PairAccuracy(5, 0.6), "order": PairAccuracy(1, 0.5)}
    assert scores.kinds == {
        "choice": {"commoner": PairAccuracy(3, 1.0), "rarer": PairAccuracy(2, 0.0)},
        "order": {"swap": PairAccuracy(1, 0.5)},
    }
    assert str(scores) == "choice 60.0%, order 50.0%"
    assert score_minimal_pairs(model, tokenizer, pairs, batch_tokens=30, stop=lambda: True) is None


# --- how a file is read -----------------------------------------------------------------------------------------------


@pytest.fixture
def read(tmp_path, tokenizer):
    def read(content: bytes | str) -> list[tuple[str, str, str, str]]:
        path = tmp_path / "pairs.tsv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        pairs = read_minimal_pairs(path, tokenizer, max_positions=12)
        return [(p.phenomenon, p.kind, tokenizer.decode(p.good), tokenizer.decode(p.bad)) for p in pairs]

    return read


@pytest.mark.parametrize("form", ["{}", "\ufeff{}", "{}\n\n"])
def test_a_file_may_have_a_byte_order_mark_blank_lines_and_either_line_end(read, form):
    content = form.format(HEADER + "order\tswap\tThe dog \t dog the\n\nüber\tx y\tA dog\tA key\n")
    expected = [("order", "swap", "the dog", "dog the"), ("über", "x y", "a dog", "a key")]
    assert read(content) == read(content.replace("\n", "\r\n")) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the first line .* names the columns phenomenon, kind, good, bad"),
        ("good\tbad\na\tb\n", "the first line .* it is 'good, bad'"),
        (HEADER, "holds no pair of sentences"),
        (HEADER + "a\tb\tthe dog\n", "line 2: a minimal pair is 4 values"),
        (HEADER + "a\tb\tthe dog\tdog the\n\na\tb\t \tdog\n", "line 4: .* none of them empty"),
        (HEADER + "a\tb\tthe dog\tThe  DOG\n", "line 2: to the tokenizer the sentences are 'the dog' and 'the dog'"),
        (HEADER + "a\tb\tthe dog\t\u200b\u00ad\n", "line 2: to the tokenizer the sentences are 'the dog' and ''"),
        (HEADER + "a\tb\tthe dog\t" + "dog " * 11 + "\n", "line 2: a sentence of 13 tokens, .* at most 12"),
        (HEADER.encode() + b"a\tb\tthe dog\tdo\xff\n", "line 2: not UTF-8"),
    ],
)
def test_a_bad_file_is_refused_by_line_and_reason(read, content, message):
    with pytest.raises(InputError, match=rf"pairs\.tsv.*{message}"):
        read(content)


def test_a_file_that_is_not_there_is_named(tokenizer):
    with pytest.raises(InputError, match=r"The minimal pairs no\.tsv cannot be read: No such file"):
        read_minimal_pairs(Path("no.tsv"), tokenizer, max_positions=12)
