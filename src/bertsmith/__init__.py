"""bertsmith: train your own BERT from your own text.

Every verb of the command line is a function of the same name that takes one settings class:

    from bertsmith import PretrainConfig, pretrain
    settings = {"recipe": "mini", "store": "store", "out": "run", "training": {"hours": 1}}
    result = pretrain(PretrainConfig.from_layers(settings))

Names are imported when they are first used, so `import bertsmith` is quick and loads no torch.
"""

import importlib
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bertsmith.batches.flat_batch import FlatBatch
    from bertsmith.core.errors import BertsmithError
    from bertsmith.diagnosis.doctor import DoctorConfig, doctor
    from bertsmith.frozen_features.extraction import FeatureExtractor
    from bertsmith.frozen_features.feature_file import Features
    from bertsmith.frozen_features.features import FeaturesConfig, features
    from bertsmith.frozen_features.layer_choice import LayerChoice
    from bertsmith.model.bert import Bert, BertForMaskedLM, BertForPreTraining
    from bertsmith.model.bert_for_tasks import (
        BertForMultipleChoice,
        BertForQuestionAnswering,
        BertForSequenceClassification,
        BertForTokenClassification,
    )
    from bertsmith.model.configuration import BertConfig
    from bertsmith.model.folder import load_model, save_model
    from bertsmith.study.compare import CompareConfig, compare
    from bertsmith.study.quickstart import QuickstartConfig, quickstart
    from bertsmith.tasks.estimators.sentence_estimators import BertClassifier, BertRegressor
    from bertsmith.tasks.estimators.tag_estimator import BertTagger
    from bertsmith.tasks.evaluation import EvaluateConfig, evaluate
    from bertsmith.tasks.filling import FillConfig, fill
    from bertsmith.tasks.finetuning import finetune
    from bertsmith.tasks.finetuning_settings import FinetuneConfig
    from bertsmith.tasks.prediction import PredictConfig, predict
    from bertsmith.tasks.task_model import TaskModel
    from bertsmith.text.preparation import PrepareConfig, prepare
    from bertsmith.text.token_store import TokenStore
    from bertsmith.text.tokenizer import Tokenizer
    from bertsmith.text.vocabulary import VocabConfig, vocab
    from bertsmith.training.configuration import PretrainConfig
    from bertsmith.training.pretraining import pretrain, resume_pretraining

__all__ = [
    "Bert",
    "BertClassifier",
    "BertConfig",
    "BertForMaskedLM",
    "BertForMultipleChoice",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertRegressor",
    "BertTagger",
    "BertsmithError",
    "CompareConfig",
    "DoctorConfig",
    "EvaluateConfig",
    "FeatureExtractor",
    "Features",
    "FeaturesConfig",
    "FillConfig",
    "FinetuneConfig",
    "FlatBatch",
    "LayerChoice",
    "PredictConfig",
    "PrepareConfig",
    "PretrainConfig",
    "QuickstartConfig",
    "TaskModel",
    "TokenStore",
    "Tokenizer",
    "VocabConfig",
    "compare",
    "doctor",
    "evaluate",
    "features",
    "fill",
    "finetune",
    "load_model",
    "predict",
    "prepare",
    "pretrain",
    "quickstart",
    "resume_pretraining",
    "save_model",
    "vocab",
]

__version__ = metadata.version("bertsmith")

_HOMES = {
    "bertsmith.batches.flat_batch": ("FlatBatch",),
    "bertsmith.core.errors": ("BertsmithError",),
    "bertsmith.diagnosis.doctor": ("DoctorConfig", "doctor"),
    "bertsmith.frozen_features.extraction": ("FeatureExtractor",),
    "bertsmith.frozen_features.feature_file": ("Features",),
    "bertsmith.frozen_features.features": ("FeaturesConfig", "features"),
    "bertsmith.frozen_features.layer_choice": ("LayerChoice",),
    "bertsmith.model.bert": ("Bert", "BertForMaskedLM", "BertForPreTraining"),
    "bertsmith.model.bert_for_tasks": (
        "BertForMultipleChoice",
        "BertForQuestionAnswering",
        "BertForSequenceClassification",
        "BertForTokenClassification",
    ),
    "bertsmith.model.configuration": ("BertConfig",),
    "bertsmith.model.folder": ("load_model", "save_model"),
    "bertsmith.study.compare": ("CompareConfig", "compare"),
    "bertsmith.study.quickstart": ("QuickstartConfig", "quickstart"),
    "bertsmith.tasks.estimators.sentence_estimators": ("BertClassifier", "BertRegressor"),
    "bertsmith.tasks.evaluation": ("EvaluateConfig", "evaluate"),
    "bertsmith.tasks.filling": ("FillConfig", "fill"),
    "bertsmith.tasks.finetuning": ("finetune",),
    "bertsmith.tasks.finetuning_settings": ("FinetuneConfig",),
    "bertsmith.tasks.prediction": ("PredictConfig", "predict"),
    "bertsmith.tasks.estimators.tag_estimator": ("BertTagger",),
    "bertsmith.tasks.task_model": ("TaskModel",),
    "bertsmith.text.preparation": ("PrepareConfig", "prepare"),
    "bertsmith.text.token_store": ("TokenStore",),
    "bertsmith.text.tokenizer": ("Tokenizer",),
    "bertsmith.text.vocabulary": ("VocabConfig", "vocab"),
    "bertsmith.training.configuration": ("PretrainConfig",),
    "bertsmith.training.pretraining": ("pretrain", "resume_pretraining"),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'bertsmith' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
