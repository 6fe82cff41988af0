"""`BertClassifier` and `BertRegressor` as scikit-learn uses its estimators, on tasks that a tiny network learns."""

import json
import pickle

import joblib
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_checks
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from bertsmith.core.artefact import stage_artefact, verify_artefact
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import (
    ArtefactError,
    ArtefactExists,
    ConfigurationError,
    EstimatorInputError,
    MismatchedArtefact,
)
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.estimators.fitted_model import FitSettings
from bertsmith.tasks.estimators.sentence_estimators import BertClassifier, BertRegressor
from bertsmith.tasks.estimators.tag_estimator import BertTagger
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.prediction import PredictConfig, predict
from bertsmith.tasks.tags.task import TagTask
from bertsmith.tasks.task_finetuning import finetune_task

pytestmark = pytest.mark.filterwarnings("ignore:The network has learnt nothing")  # in one epoch, often

FAST = {
    "learning_rate": 5e-3,
    "epochs": 6,
    "batch_size": 8,
    "max_seq_length": 32,
    "dropout": 0.0,
    "precision": "float32",
}
SHORT = FAST | {"epochs": 1, "dropout": 0.1}
SLOWLY = FAST | {"epochs": 12}
WORDS = {"awful": 0.0, "bad": 1.0, "dull": 1.5, "fine": 3.0, "good": 4.0, "great": 5.0}
OTHERS = ["film", "cat", "dog", "man", "mat", "very", "not", "a", "the", "is", "was", "it", "we", "saw", "on", "and"]
TEXTS = [f"the {other} is {word}" for other in OTHERS for word in WORDS]
SCORES = [score for _ in OTHERS for score in WORDS.values()]
LABELS = ["good" if score > 2 else "bad" for score in SCORES]


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
def classifier(pretrained):
    return BertClassifier(pretrained, **FAST).fit(TEXTS, LABELS)


@pytest.fixture(scope="module")
def regressor(pretrained):
    return BertRegressor(pretrained, **FAST).fit(TEXTS, SCORES)


def examples_of(path):
    return zip(*(line.split("\t") for line in path.read_text().splitlines()[1:]), strict=True)


def test_a_classifier_learns_and_says_how_sure_it_is(classifier):
    assert classifier.classes_.tolist() == ["bad", "good"]
    assert classifier.predict(["the film is great", "a dull cat"]).tolist() == ["good", "bad"]
    assert classifier.score(TEXTS, LABELS) > 0.95
    probabilities = classifier.predict_proba(TEXTS)
    assert probabilities.shape == (96, 2)
    assert probabilities.sum(axis=1) == pytest.approx(1.0)
    assert (classifier.classes_[probabilities.argmax(axis=1)] == classifier.predict(TEXTS)).all()


def test_a_regressor_learns(regressor):
    assert regressor.score(TEXTS, SCORES) > 0.9
    low, high = regressor.predict(["the film is awful", "the film is great"])
    assert low < 1
    assert high > 4


def test_far_numbers_are_learnt_when_scikit_learn_scales_them(pretrained):
    far = 1000 + 100 * np.array(SCORES)
    inner = BertRegressor(pretrained, **FAST)
    scaled = TransformedTargetRegressor(regressor=inner, transformer=StandardScaler()).fit(TEXTS, far)
    assert scaled.score(TEXTS, far) > 0.9


@pytest.mark.parametrize(
    "classes", [("bad", "good"), (0, 1), (False, True), (-1.0, 1.0), (10, 9, 2), ("c", "a", "b")], ids=str
)
def test_predictions_come_back_as_the_labels_were(pretrained, classes):
    y = [classes[index % len(classes)] for index in range(12)]
    fitted = BertClassifier(pretrained, **SHORT).fit(TEXTS[:12], y)
    assert fitted.classes_.tolist() == sorted(classes)
    assert fitted.predict(TEXTS).dtype == np.asarray(y).dtype
    assert set(fitted.predict(TEXTS).tolist()) <= set(classes)


def test_several_labels_are_a_matrix_before_and_after(pretrained, tmp_path):
    y = np.array([[score > 2, score in (0.0, 5.0), score == 1.5] for score in SCORES], dtype=int)
    fitted = BertClassifier(pretrained, **SLOWLY).fit(TEXTS, y)
    predicted = fitted.predict(TEXTS)
    assert predicted.shape == y.shape
    assert f1_score(y, predicted, average="micro") > 0.9
    assert fitted.score(TEXTS, y) == accuracy_score(y, predicted)
    assert ((fitted.predict_proba(TEXTS) > 0.5) == predicted).all()
    fitted.save(tmp_path / "out")
    assert (BertClassifier.load(tmp_path / "out").predict(TEXTS) == predicted).all()
    with pytest.raises(ConfigurationError, match="Class weights and label smoothing"):
        clone(fitted).set_params(class_weights="balanced").fit(TEXTS, y)


def test_pairs_in_any_form_are_the_same_pairs(pretrained):
    animals = ("cat", "dog", "man")
    pairs = [(f"the {first}", f"a {second}") for first in animals for second in animals]
    y = [pair[0].split()[1] == pair[1].split()[1] for pair in pairs]
    expected = BertClassifier(pretrained, **SHORT).fit(pairs, y).predict_proba(pairs)
    array = np.array(pairs)
    assert (BertClassifier(pretrained, **SHORT).fit(array, y).predict_proba(array) == expected).all()
    fitted = BertClassifier(pretrained, **SHORT).fit(list(map(list, pairs)), y)
    with pytest.raises(EstimatorInputError, match="takes a pair"):
        fitted.predict(["the cat"])


@pytest.mark.parametrize(("epochs", "patience"), [(1, None), (2, 1)])
def test_a_fit_gives_the_weights_that_finetune_gives(pretrained, reviews, tmp_path, epochs, patience):
    where = {"data": reviews} if patience is None else {"train": reviews / "train.tsv", "dev_share": 0.25}
    training = {"learning_rate": 5e-3, "epochs": epochs, "patience": patience, "dropout": 0.2}
    config = {
        "model": pretrained,
        "out": tmp_path / "out",
        "seed": 3,
        "task_data": where,
        "inputs": {"max_seq_length": 32},
        "training": training,
        "loss": {"class_weights": "balanced", "label_smoothing": 0.1},
        "layers": {"layer_decay": 0.9, "frozen_layers": 0},
        "runtime": {"precision": "float32", "micro_batch_size": 5},
    }
    finetune_task(build_settings(FinetuneConfig, config))
    texts, labels = examples_of(reviews / "train.tsv")
    settings = training | config["loss"] | config["layers"] | config["inputs"] | config["runtime"]
    BertClassifier(pretrained, **settings, seed=3, dev_share=0.25).fit(texts, labels).save(tmp_path / "saved")
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / "saved" / name).read_bytes() == (tmp_path / "out" / "model" / name).read_bytes()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_command_line_predicts_the_same_with_the_saved_folder(classifier, tmp_path, precision):
    classifier = clone(classifier).set_params(precision=precision, epochs=2).fit(TEXTS, LABELS)
    classifier.save(tmp_path / "out")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    settings = {"model": tmp_path / "out", "input": tmp_path / "texts.txt", "runtime": {"precision": precision}}
    rows = list(predict(build_settings(PredictConfig, settings)))
    assert [row["label"] for row in rows] == classifier.predict(TEXTS).tolist()
    shares = np.array([[row["probabilities"][name] for name in ("bad", "good")] for row in rows], dtype=np.float32)
    assert (shares == classifier.predict_proba(TEXTS)).all()


def test_the_saved_folder_loads_in_transformers(classifier, tmp_path):
    classifier.save(tmp_path / "out")
    verify_artefact(tmp_path / "out", "model")
    theirs, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert theirs.config.id2label == {0: "bad", 1: "good"}
    inputs = AutoTokenizer.from_pretrained(tmp_path / "out")(TEXTS, padding=True, return_tensors="pt")
    expected = theirs.eval()(**inputs).logits.softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(classifier.predict_proba(TEXTS), expected, atol=1e-5)
    with pytest.raises(ArtefactExists):
        classifier.save(tmp_path / "out")


@pytest.mark.parametrize("classes", [("bad", "good"), (0, 1), (False, True), (1.0, 2.0)], ids=str)
def test_what_is_loaded_is_what_was_saved(pretrained, tmp_path, classes):
    windows = {"long_texts": "mean", "stride": 9, "micro_batch_size": 5}
    fitted = BertClassifier(str(pretrained), **SHORT, **windows, seed=7).fit(
        TEXTS, [classes[text.endswith("d")] for text in TEXTS]
    )
    fitted.save(tmp_path / "out")
    loaded = BertClassifier.load(tmp_path / "out")
    assert loaded.get_params() == fitted.get_params()
    assert loaded.classes_.dtype == fitted.classes_.dtype
    assert (loaded.predict_proba(TEXTS) == fitted.predict_proba(TEXTS)).all()
    loaded.save(tmp_path / "again")
    for name in ("model.safetensors", "task.json", "manifest.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_a_regressor_is_saved_and_loaded(regressor, classifier, tmp_path):
    regressor.save(tmp_path / "out")
    loaded = BertRegressor.load(tmp_path / "out")
    assert (loaded.predict(TEXTS) == regressor.predict(TEXTS)).all()
    with pytest.raises(MismatchedArtefact, match="does not give labels for texts: it is a model for regression"):
        BertClassifier.load(tmp_path / "out")
    classifier.save(tmp_path / "labels")
    with pytest.raises(MismatchedArtefact, match="does not give numbers for texts: it is a model for classification"):
        BertRegressor.load(tmp_path / "labels")


def test_what_finetune_wrote_is_loaded_with_its_settings(pretrained, reviews, tmp_path):
    config = {"model": pretrained, "out": tmp_path / "out", "task_data": {"data": reviews}}
    settings = {"inputs": {"max_seq_length": 32}, "training": {"epochs": 1}, "runtime": {"precision": "float32"}}
    finetune_task(build_settings(FinetuneConfig, config, settings))
    loaded = BertClassifier.load(tmp_path / "out")
    assert loaded.classes_.tolist() == ["bad", "good"]
    assert (loaded.epochs, loaded.max_seq_length, loaded.precision) == (1, 32, "float32")
    texts, labels = examples_of(reviews / "dev.tsv")
    expected = json.loads((tmp_path / "out" / "results.json").read_text())["means"]["dev"]["accuracy"]["mean"]
    assert loaded.score(texts, labels) == expected
    with pytest.raises(ArtefactError, match="is not a fine-tuned model"):
        BertClassifier.load(pretrained)


def test_of_several_runs_the_settings_of_the_one_that_was_kept_are_loaded(pretrained, reviews, tmp_path):
    config = {"model": pretrained, "out": tmp_path / "out", "task_data": {"data": reviews}, "seeds": 2}
    grid = {"grid": {"grid_learning_rates": (1e-9, 5e-3)}}
    settings = {"inputs": {"max_seq_length": 32}, "training": {"epochs": 2}, "runtime": {"precision": "float32"}}
    result = finetune_task(build_settings(FinetuneConfig, config, settings, grid))
    loaded = BertClassifier.load(tmp_path / "out")
    assert (loaded.seed, loaded.learning_rate) == (result.best_seed, result.cell["learning_rate"])


def test_cross_validation_on_texts_that_were_not_learnt(pretrained):
    assert min(cross_val_score(BertClassifier(pretrained, **FAST), TEXTS, LABELS, cv=2)) > 0.9


def test_a_grid_search_in_two_processes_finds_the_rate_that_learns(pretrained):
    search = GridSearchCV(BertClassifier(pretrained, **FAST), {"learning_rate": [1e-7, 5e-3]}, cv=2, n_jobs=2)
    search.fit(np.array(TEXTS), np.array(LABELS))
    assert search.best_params_ == {"learning_rate": 5e-3}
    assert search.best_score_ > 0.9
    assert search.predict(["the film is great"]).tolist() == ["good"]


def test_it_ends_a_pipeline(pretrained):
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [text.lower() for text in texts]), "passthrough")
    pipeline.steps.append(("bert", BertClassifier(pretrained, **SHORT)))
    pipeline.set_params(bert__seed=1).fit([text.upper() for text in TEXTS], LABELS)
    assert pipeline.predict(["THE FILM"]) == pipeline.predict(["the film"])
    assert pipeline[-1].seed == 1


def test_a_fitted_one_is_pickled_with_its_weights_once(classifier, tmp_path):
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    loaded = joblib.load(tmp_path / "classifier.joblib")
    assert (loaded.predict_proba(TEXTS) == classifier.predict_proba(TEXTS)).all()
    network = classifier.fitted_.model.network
    num_bytes = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    assert len(pickle.dumps(classifier)) < 1.5 * num_bytes


def test_the_seed_says_it_all(pretrained):
    def probabilities(seed):
        torch.rand(seed + 1)  # what others draw does not matter
        return BertClassifier(pretrained, **SHORT, seed=seed).fit(TEXTS[:32], LABELS[:32]).predict_proba(TEXTS)

    first, again, other = map(probabilities, (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_fit_changes_no_parameter_and_starts_afresh(classifier):
    before = classifier.get_params()
    expected = classifier.predict_proba(TEXTS)
    assert classifier.fit(TEXTS, LABELS) is classifier
    assert classifier.get_params() == before
    assert (classifier.predict_proba(TEXTS) == expected).all()
    assert clone(classifier).get_params() == before


@pytest.mark.parametrize("estimator_class", [BertClassifier, BertRegressor, BertTagger])
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_estimators_unfitted,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_set_params,
        estimator_checks.check_supervised_y_no_nan,
        estimator_checks.check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learns_own_checks(estimator_class, check):
    check(estimator_class.__name__, estimator_class("model"))


@pytest.mark.parametrize("estimator_class", [BertClassifier, BertRegressor, BertTagger])
def test_every_parameter_is_a_setting_with_the_default_of_finetune(estimator_class):
    parameters = estimator_class("model").get_params()
    settings = FitSettings.of(parameters)
    told = settings.model_dump(exclude_unset=True)
    names = [name for name, value in told.items() for name in (value if isinstance(value, dict) else [name])]
    assert sorted(names) == sorted(parameters)
    recommended = TagTask.of_files("tagging").recommended if estimator_class is BertTagger else {}
    assert settings == FitSettings.of({"model": "model"}, recommended)


def test_what_is_not_fitted_does_not_predict(pretrained, tmp_path):
    for call in (
        lambda: BertClassifier(pretrained).predict(TEXTS),
        lambda: BertClassifier(pretrained).predict_proba(TEXTS),
        lambda: BertRegressor(pretrained).predict(TEXTS),
        lambda: BertClassifier(pretrained).save(tmp_path / "out"),
        lambda: BertRegressor(pretrained).save(tmp_path / "out"),
    ):
        with pytest.raises(NotFittedError):
            call()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"learning_rate": -1}, "'training.learning_rate' = -1 is not usable"),
        ({"class_weights": "rare"}, "'loss.class_weights' = 'rare' is not usable"),
        ({"max_seq_length": 128}, "max_seq_length 128 is more than the 64 positions"),
        ({"frozen_layers": 9}, "9 is more than the 1 layers"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named_by_fit(pretrained, parameters, message):
    estimator = BertClassifier(pretrained, **SHORT).set_params(**parameters)
    with pytest.raises(ConfigurationError, match=message):
        estimator.fit(TEXTS, LABELS)


def test_examples_that_cannot_be_used_are_refused(classifier, pretrained):
    with pytest.raises(EstimatorInputError, match="X has 96 examples and y 95 labels"):
        clone(classifier).fit(TEXTS, LABELS[:-1])
    with pytest.raises(EstimatorInputError, match=r"y\[1\] is missing \(it is nan\). Give a label"):
        clone(classifier).fit(TEXTS[:3], ["good", float("nan"), "bad"])
    with pytest.raises(EstimatorInputError, match=r"y\[0\] is missing \(it is None\). Give a number"):
        BertRegressor(pretrained).fit(TEXTS[:2], [None, 1.0])
    with pytest.raises(EstimatorInputError, match="X is empty"):
        classifier.predict([])
    with pytest.raises(EstimatorInputError, match="takes one text for each example"):
        classifier.predict([("the film", "the cat")])
    with pytest.raises(EstimatorInputError, match=r"X has 2 examples, too few to hold out a share of 0\.9"):
        BertRegressor(pretrained, patience=1, dev_share=0.9, max_seq_length=32).fit(TEXTS[:2], SCORES[:2])


def test_one_that_learns_nothing_warns(pretrained):
    hopeless = FAST | {"learning_rate": 0.5, "epochs": 2}
    with pytest.warns(ConvergenceWarning, match="learnt nothing: all 64 train predictions are") as warned:
        BertClassifier(pretrained, **hopeless).fit(TEXTS, LABELS)
    assert warned[0].filename == __file__


def test_frozen_layers_stay_as_they_came(pretrained):
    fitted = BertClassifier(pretrained, **SHORT, frozen_layers=1).fit(TEXTS, LABELS)
    before = load_file(pretrained / "model.safetensors")
    network = dict(fitted.fitted_.model.network.named_parameters())
    assert torch.equal(network["bert.embeddings.tokens.weight"], before["bert.embeddings.word_embeddings.weight"])


def test_long_texts_are_cut_and_told_of_or_read_in_windows(pretrained, capsys):
    texts = [("the cat sat " * (index % 9)) + word for index in range(9) for word in ("good", "bad")] * 4
    labels = [text.split()[-1] for text in texts]
    settings = FAST | {"max_seq_length": 12}
    BertClassifier(pretrained, **settings | {"epochs": 1}).fit(texts, labels)
    assert "40 of 72 examples are cut to 12 tokens" in " ".join(capsys.readouterr().err.split())
    pooled = BertClassifier(pretrained, **settings, long_texts="mean").fit(texts, labels)
    assert pooled.score(texts, labels) > 0.9
    close = clone(pooled).set_params(stride=3, epochs=1).fit(texts, labels)
    apart = clone(pooled).set_params(epochs=1).fit(texts, labels)
    assert (close.predict_proba(texts) != apart.predict_proba(texts)).any()
