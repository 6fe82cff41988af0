"""`BertTagger` as scikit-learn uses its estimators, on names that a tiny network finds."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, cross_val_score
from transformers import AutoModelForTokenClassification

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.errors import EstimatorInputError, MismatchedArtefact
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.catalogue import KINDS
from bertsmith.tasks.estimators.sentence_estimators import BertClassifier
from bertsmith.tasks.estimators.tag_estimator import BertTagger
from bertsmith.tasks.tags.task import TagTask

pytestmark = pytest.mark.filterwarnings("ignore:The network has learnt nothing")  # in one epoch, often

FAST = {
    "learning_rate": 5e-3,
    "epochs": 6,
    "batch_size": 8,
    "max_seq_length": 32,
    "dropout": 0.0,
    "precision": "float32",
}
SHORT = FAST | {"epochs": 1}
OTHERS = ["the", "a", "is", "was", "very", "not", "on", "and", "it", "we"]
TAG = {"cat": "B-PET", "dog": "B-PET", "man": "B-PER", "sat": "I-PER", "ran": "I-PER"}
NAMES = (["cat"], ["dog"], ["man", "sat"], ["man", "ran"])
random = np.random.default_rng(0)
SENTENCES = [
    [*random.choice(OTHERS, random.integers(4)), *NAMES[index % 4], *random.choice(OTHERS, random.integers(1, 4))]
    for index in range(64)
]
TAGS = [[TAG.get(word, "O") for word in words] for words in SENTENCES]
_OTHER_TAGS = {"B-PET": ("U-PET", "PET", "NOUN"), "B-PER": ("B-PER", "PER", "NOUN"), "I-PER": ("L-PER", "PER", "VERB")}
BILOU, BARE, CLASSES = (
    [[_OTHER_TAGS.get(tag, ("O", "O", "DET"))[place] for tag in tags] for tags in TAGS] for place in range(3)
)


@pytest.fixture(scope="module")
def pretrained(tokenizer, tiny_config, tmp_path_factory):
    """A model folder whose network learns in fifty steps: one layer with large initial weights."""
    model = BertForPreTraining(tiny_config(tokenizer, num_hidden_layers=1, initializer_range=0.2))
    initialise(model, "normal", seed=1)
    folder = tmp_path_factory.mktemp("run") / "model"
    with stage_artefact(folder, kind="model", command="pretrain", configuration={}) as staging:
        save_model(model, staging.folder, tokenizer, model_card="# tiny\n")
    return folder


@pytest.fixture(scope="module")
def tagger(pretrained):
    return BertTagger(pretrained, **FAST).fit(SENTENCES, TAGS)


def test_a_tagger_finds_names(tagger):
    assert tagger.classes_.tolist() == ["O", "B-PER", "I-PER", "B-PET", "I-PET"]
    assert tagger.score(SENTENCES, TAGS) > 0.9
    assert tagger.predict([["the", "man", "sat"], ["a", "dog"]]) == [["O", "B-PER", "I-PER"], ["O", "B-PET"]]


def test_every_word_has_a_tag_however_long_its_sentence(tagger):
    long = ["the", "film", "dog", "is"] * 50
    tags, none, one = tagger.predict([long, [], ["cat"]])
    assert (len(tags), none, len(one)) == (200, [], 1)
    assert tags.count("B-PET") > 40


def test_it_says_how_likely_each_tag_is(tagger):
    words = [*SENTENCES[:8], [], ["the", "film", "dog", "is"] * 50]
    probabilities = tagger.predict_proba(words)
    assert [shares.shape for shares in probabilities] == [(len(sentence), 5) for sentence in words]
    assert {shares.dtype for shares in probabilities} == {np.dtype(np.float32)}
    for shares, tags in zip(probabilities, tagger.predict(words), strict=True):
        assert shares.sum(axis=1) == pytest.approx(np.ones(len(tags)))
        assert tagger.classes_[shares.argmax(axis=1)].tolist() == tags


def test_windows_begin_a_stride_apart(pretrained):
    words, tags = SENTENCES[0] * 9, TAGS[0] * 9
    close, apart = (
        BertTagger(pretrained, **SHORT | {"max_seq_length": 12}, stride=stride).fit([words], [tags])
        for stride in (3, 10)
    )
    assert (close.predict_proba([words])[0] != apart.predict_proba([words])[0]).any()


@pytest.mark.parametrize("y", [BILOU, tuple(map(np.array, BARE))], ids=["bilou", "bare types in arrays"])
def test_tags_of_other_schemes_and_forms_are_the_same_tags(tagger, pretrained, y):
    other = BertTagger(pretrained, **FAST).fit(SENTENCES, y)
    assert other.predict(SENTENCES) == tagger.predict(SENTENCES)
    assert other.score(SENTENCES, y) == tagger.score(SENTENCES, TAGS) == tagger.score(SENTENCES, y)


def test_the_scheme_of_other_tags_is_told(pretrained, capsys):
    BertTagger(pretrained, **SHORT).fit(SENTENCES[:8], BILOU[:8])
    assert "y: the tags are in BILOU." in capsys.readouterr().err


def test_classes_of_words_are_scored_by_the_share_of_right_ones(pretrained):
    fitted = BertTagger(pretrained, **FAST).fit(SENTENCES, CLASSES)
    predicted = fitted.predict(SENTENCES)
    right = [ours == gold for pair in zip(predicted, CLASSES, strict=True) for ours, gold in zip(*pair, strict=True)]
    assert fitted.score(SENTENCES, CLASSES) == pytest.approx(np.mean(right))
    assert np.mean(right) > 0.9


def test_a_type_that_was_never_seen_counts_as_missed(tagger):
    assert tagger.score([["the", "dog"], ["the", "film"]], [["O", "B-PET"], ["O", "B-ORG"]]) == pytest.approx(2 / 3)
    assert tagger.score([["the", "film"]], [["O", "O"]]) == 0.0  # conlleval's F1 where there are no entities


def test_it_is_cross_validated(pretrained):
    folds = KFold(2, shuffle=True, random_state=0)
    assert min(cross_val_score(BertTagger(pretrained, **FAST | {"epochs": 14}), SENTENCES, TAGS, cv=folds)) > 0.8


def test_it_is_saved_and_loaded(tagger, tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "tags", TagTask)
    tagger.save(tmp_path / "out")
    loaded = BertTagger.load(tmp_path / "out")
    assert loaded.get_params() == tagger.get_params() | {"model": str(tagger.model)}
    assert loaded.classes_.tolist() == tagger.classes_.tolist()
    assert loaded.predict(SENTENCES) == tagger.predict(SENTENCES)
    for ours, theirs in zip(tagger.predict_proba(SENTENCES), loaded.predict_proba(SENTENCES), strict=True):
        assert (ours == theirs).all()
    _, info = AutoModelForTokenClassification.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    with pytest.raises(MismatchedArtefact, match="does not give labels for texts"):
        BertClassifier.load(tmp_path / "out")


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (["the cat"], [["O", "O"]], r"X\[0\] or its tags are a text. Give the words, and the tags, one by one"),
        ([["the", "cat"]], ["O O"], r"X\[0\] or its tags are a text"),
        ([["a"], ["a", 1]], [["O"], ["O", "O"]], r"X\[1\] .* word 2 is 1, not a text"),
        ([["a", ""]], [["O", "O"]], r"X\[0\] .* word 2 is empty"),
        ([["a", "cat"]], [["O"]], r"X\[0\] .* it has 2 words and 1 tags"),
        ([["a"], ["a"]], [["O"]], "X has 2 examples and y 1 labels"),
        ([3], [["O"]], r"X\[0\] is not a sequence of words"),
        ("a cat", [["O"]], "X is 'a cat', not a sequence of sentences"),
        ([["a", "cat"]], [["O", "O"]], "every tag is O"),
        ([["a"], ["cat"]], [["O"], None], r"y\[1\] is missing \(it is None\). Give a tag for each word"),
        ([["a"], ["cat"]], [float("nan"), ["O"]], r"y\[0\] is missing \(it is nan\)"),
        ([["a"], ["a", "cat"]], [["O"], ["O", None]], r"y\[1\]\[1\] is missing \(it is None\). Give a tag"),
        ([["a", "cat"]], [["O", float("nan")]], r"y\[0\]\[1\] is missing \(it is nan\)"),
        ([["a", "cat"]], None, "y is None, not a sequence of tags for each sentence"),
        ([["a", "cat"]], [["B-A", "C-A"]], r"y\[0\] has the tag 'C-A', which is not one of IOB2"),
    ],
)
def test_what_is_no_sentence_is_refused(pretrained, X, y, message):  # noqa: N803 - as scikit-learn has it
    with pytest.raises(EstimatorInputError, match=message):
        BertTagger(pretrained, **SHORT).fit(X, y)


def test_a_missing_tag_of_pandas_is_named_by_its_place(pretrained):
    pd = pytest.importorskip("pandas")
    y = pd.Series([["O"], pd.Series(["O", None], dtype="string")])
    with pytest.raises(EstimatorInputError, match=r"y\[1\]\[1\] is missing \(it is <NA>\)"):
        BertTagger(pretrained).fit([["a"], ["a", "cat"]], y)


def test_what_is_not_fitted_does_not_predict(tagger, tmp_path):
    for call in (
        lambda fresh: fresh.predict(SENTENCES),
        lambda fresh: fresh.predict_proba(SENTENCES),
        lambda fresh: fresh.score(SENTENCES, TAGS),
        lambda fresh: fresh.save(tmp_path / "out"),
    ):
        with pytest.raises(NotFittedError):
            call(clone(tagger))
