"""Predictions in CoNLL's columns: what is written, and that it is read back with the same scores."""

import numpy as np

from bertsmith.tasks.tags.conll_predictions import conll_lines, write_conll_predictions
from bertsmith.tasks.tags.decoding import TagPrediction
from bertsmith.tasks.tags.entity_scores import score_entities
from bertsmith.tasks.tags.sentence import Sentence, sentence_of_words
from bertsmith.tasks.tags.task import TagTask


def test_documents_and_sentences_stand_where_they_stood(tmp_path):
    source = tmp_path / "eng.testa"
    source.write_text("a x I-A\n\n-DOCSTART- x O\n\nb x O\nc x I-A\n\n\n-DOCSTART- x O\n\n-DOCSTART- x O\n\nd x O\n\n")
    sentences = TagTask("t", scheme="iob1").read(source, "strict").rows
    predictions = [TagPrediction(("O",)), TagPrediction(("O", "I-A")), TagPrediction(("B-A",))]
    assert list(conll_lines(sentences, predictions)) == [
        *("a B-A O", ""),
        *("-DOCSTART- O O", "", "b O O", "c B-A I-A", ""),
        *("-DOCSTART- O O", "", "-DOCSTART- O O", "", "d O B-A", ""),
    ]


def test_without_gold_tags_there_are_two_columns_and_white_space_in_a_word_is_seen():
    sentences = [sentence_of_words(["New York", "\u3000", "x"], 1)]
    lines = list(conll_lines(sentences, [TagPrediction(("B-A", "O", "O"))]))
    assert lines == ["New_York B-A", "_ O", "x O", ""]


def test_what_is_written_is_read_back_with_the_same_scores(tmp_path):
    random = np.random.default_rng(0)
    labels = ["O", "B-A", "I-A", "B-B", "I-B"]
    sentences, predictions = [], []
    for index in range(300):
        length = int(random.integers(1, 9))
        words = tuple(random.choice(["#", "# ", "a", "-", "10\u00a0000", "…"], size=length).tolist())
        tags = random.choice(labels, size=length, p=[0.5, 0.2, 0.1, 0.1, 0.1]).tolist()
        changed = [str(random.choice(labels)) if random.random() < 0.2 else tag for tag in tags]
        sentences.append(Sentence(words, tuple(tags), index, index // 7))
        predictions.append(TagPrediction(tuple(changed)))
    path = tmp_path / "predictions.conll"
    write_conll_predictions(path, sentences, predictions)
    columns = {"labels": ("O", "B-A", "I-A", "B-B", "I-B"), "scheme": "classes"}  # as they are, well-formed or not
    gold = TagTask("gold", tag_column=1, **columns).read(path, "strict").rows
    predicted = TagTask("predicted", tag_column=2, **columns).read(path, "strict").rows
    assert [row.document for row in gold] == [row.document for row in sentences]
    assert [row.tags for row in gold] == [row.tags for row in sentences]
    assert [row.tags for row in predicted] == [row.tags for row in predictions]
    read_back = score_entities([row.tags for row in gold], [row.tags for row in predicted])
    assert read_back == score_entities([row.tags for row in sentences], [prediction.tags for prediction in predictions])
