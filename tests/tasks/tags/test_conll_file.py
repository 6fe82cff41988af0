"""Files in columns: what is a word, a tag, a sentence, a document and a comment, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.core.errors import InputError
from bertsmith.tasks.tables import BadRows
from bertsmith.tasks.tags.conll_file import read_conll

NAMES = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\nPeter NNP I-NP I-PER\n"


def read(tmp_path, content, on_error="strict", **columns):
    path = tmp_path / "sentences.conll"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    bad_rows = BadRows(path.name, on_error)
    return read_conll(path, bad_rows, **columns), bad_rows.skipped


def rows(sentences):
    return [list(zip(sentence.words, sentence.tags, strict=True)) for sentence in sentences]


def test_a_blank_line_ends_a_sentence_and_the_last_column_is_the_tag(tmp_path):
    sentences, _ = read(tmp_path, NAMES)
    assert rows(sentences) == [[("EU", "I-ORG"), ("rejects", "O")], [("Peter", "I-PER")]]
    assert [(sentence.line, sentence.document) for sentence in sentences] == [(3, 1), (6, 1)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"tag_column": 1}, [("EU", "NNP"), ("rejects", "VBZ")]),
        ({"tag_column": -2}, [("EU", "I-NP"), ("rejects", "I-VP")]),
        ({"word_column": -1, "tag_column": 0}, [("I-ORG", "EU"), ("O", "rejects")]),
    ],
)
def test_words_and_tags_are_found_by_their_places(tmp_path, columns, expected):
    assert rows(read(tmp_path, NAMES, **columns)[0])[0] == expected


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfEU B-ORG\nrejects O\n",
        b"EU B-ORG\r\nrejects O\r\n\r\n",
        b"EU B-ORG\nrejects O",
        b"\n\nEU   B-ORG \nrejects O\n \n\t\n\n",
        b"EU\tB-ORG\nrejects\tO\t\n\t\n",
        b"EU \tB-ORG\n rejects\t O\n",
    ],
)
def test_marks_line_ends_and_blanks_around_do_not_matter(tmp_path, content):
    assert rows(read(tmp_path, content)[0]) == [[("EU", "B-ORG"), ("rejects", "O")]]


def test_a_file_with_tabs_is_cut_at_tabs_only(tmp_path):
    sentences, skipped = read(tmp_path, "a\tO\n\nb O\n\nc\td O\n", "skip")
    assert rows(sentences) == [[("a", "O")], [("c", "d O")]]
    assert skipped == [(3, "it has 1 column where the first row has 2")]


def test_white_space_that_is_not_a_blank_is_a_part_of_a_word(tmp_path):
    assert rows(read(tmp_path, "10\u00a0000 O\n\u3000 O\n")[0]) == [[("10\u00a0000", "O"), ("\u3000", "O")]]


def test_documents_are_counted_where_they_begin(tmp_path):
    content = "a O\n\n-DOCSTART-\nb O\n\n-DOCSTART- -X- O\n\n-DOCSTART- -X- O\n\nc O\n-DOCSTART- (4)\nd O\n"
    assert [(sentence.words, sentence.document) for sentence in read(tmp_path, content)[0]] == [
        (("a",), 0),
        (("b",), 1),
        (("c",), 3),
        (("d",), 4),
    ]


@pytest.mark.parametrize(
    ("content", "columns", "expected"),
    [
        ("# x\n1\tdie\tO\n2\t#\tO\n", {"word_column": 1}, [[("die", "O"), ("#", "O")]]),
        ("#\thttp://a.de\t[2010]\t\n1\tdie\tO\tB-X\n", {"word_column": 1, "tag_column": 2}, [[("die", "O")]]),
        ("# text = a b\n1 a DET\n\n# next\n1 b NOUN\n", {"word_column": 1}, [[("a", "DET")], [("b", "NOUN")]]),
        ("## head : CHAR\tTAG\n## 1\t<a:X>\na\tB-X\n#\tO\n", {}, [[("a", "B-X"), ("#", "O")]]),
        ("#\tO\n#UN\tB-ORG\n", {}, [[("#", "O"), ("#UN", "B-ORG")]]),
        ("# # O\na b O\n", {}, [[("#", "O"), ("a", "O")]]),
    ],
)
def test_a_comment_is_no_word_and_a_word_is_no_comment(tmp_path, content, columns, expected):
    assert rows(read(tmp_path, content, **columns)[0]) == expected


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("a\tO\n\tO\n", 2, "its word is empty"),
        ("a\tO\n \tO\n", 2, "its word is empty"),
        ("a\tO\nb c\tO\n", 2, "its word 'b c' has a blank in it"),
        ("a b O\nc O\n", 2, "it has 2 columns where the first row has 3"),
        ("a\tx\tO\nb\tx\t\n", 2, "it has 2 columns where the first row has 3"),
        ("a\tO\tx\nb\t\tx\n", 2, "its tag is empty"),
        (b"a O\n\xe4 O\n", 2, "byte 1 of the line is not UTF-8"),
    ],
)
def test_what_is_no_row_is_refused_by_line_or_its_sentence_left_out(tmp_path, content, line, reason):
    columns = {"tag_column": 1} if "tag" in reason else {}
    with pytest.raises(InputError, match=rf"sentences\.conll, line {line}: {reason}\. Mend the line"):
        read(tmp_path, content, **columns)
    more = content if isinstance(content, bytes) else content.encode()
    separator = b"\t" if b"\t" in more else b" "
    good = separator.join([b"z", b"O", b"O"][: 3 if reason.startswith(("it has 2", "its tag")) else 2])
    sentences, skipped = read(tmp_path, more + b"\n" + good + b"\n", "skip", **columns)
    assert [sentence.words for sentence in sentences] == [("z",)]
    assert skipped == [(line, reason)]


@pytest.mark.parametrize("content", [b"a O\n\xff O\n\nb O\n", b"\xff O\na O\n\nb O\n", b"b O\n\na O\n\xff"])
def test_a_sentence_beside_a_line_that_cannot_be_read_is_left_out(tmp_path, content):
    assert [sentence.words for sentence in read(tmp_path, content, "skip")[0]] == [("b",)]


def test_a_file_of_characters_may_have_blanks_among_its_words(tmp_path):
    sentences, _ = read(tmp_path, "a\tB-X\n \tI-X\nb\tI-X\n", blank_words=True)
    assert sentences[0].words == ("a", " ", "b")
    with pytest.raises(InputError, match="line 2: its word is empty"):
        read(tmp_path, "a\tB-X\n\tI-X\n", blank_words=True)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"tag_column": 3}, "line 1: the first row has 2 columns, so there is none at place 3. Places count from 0"),
        ({"word_column": -3}, "so there is none at place -3"),
        ({"word_column": 1}, "the words would be their own tags"),
    ],
)
def test_a_column_that_is_not_there_is_refused_however_bad_rows_are_treated(tmp_path, columns, message):
    for on_error in ("strict", "skip"):
        with pytest.raises(InputError, match=message):
            read(tmp_path, "a O\n", on_error, **columns)


def test_without_tags_one_column_is_enough(tmp_path):
    sentences, _ = read(tmp_path, "a\nb\n\nc\n", tag_column=None)
    assert [(sentence.words, sentence.tags) for sentence in sentences] == [(("a", "b"), None), (("c",), None)]
    with pytest.raises(InputError, match="the first row has 1 column, and the words would be their own tags"):
        read(tmp_path, "a\nb\n")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.conll cannot be read: No such file"):
        read_conll(tmp_path / "nowhere.conll", BadRows("nowhere"))


WORDS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters=" \t\n\r"), min_size=1, max_size=5)
ROWS = st.tuples(WORDS.filter(lambda word: not word.startswith(("-DOCSTART-", "\ufeff"))), WORDS)


@given(st.lists(st.lists(ROWS, min_size=1, max_size=4), max_size=4), st.sampled_from([" ", "\t"]))
def test_what_is_written_is_read(tmp_path_factory, sentences, separator):
    lines = [separator.join(row) for sentence in sentences for row in [*sentence, ("",)]]
    content = "".join(f"{line}\n" for line in lines)
    assert rows(read(tmp_path_factory.mktemp("written"), content)[0]) == sentences
