"""Initial values: the released code's, deterministic by seed and name."""

import pytest
import torch

from bertsmith.model.bert import Bert, BertForPreTraining
from bertsmith.model.bert_for_tasks import BertForSequenceClassification
from bertsmith.model.configuration import BertConfig, ClassifierLabels
from bertsmith.model.initialisation import initialise

CONFIG = BertConfig.of_size("tiny", vocab_size=2000)


def initialised(model, seed=0, scheme="normal", **options):
    initialise(model, scheme, seed, **options)
    return model


def test_weights_are_normal_cut_off_at_two_standard_deviations():
    model = initialised(BertForPreTraining(CONFIG))
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            assert (parameter == 1).all(), name
        elif name.endswith("bias"):
            assert (parameter == 0).all(), name
        else:
            assert parameter.abs().max() <= 0.04, name
            if parameter.numel() > 10_000:
                assert parameter.std().item() == pytest.approx(0.02 * 0.8796, rel=0.02), name
                assert abs(parameter.mean().item()) < 4 * 0.0176 / parameter.numel() ** 0.5, name


def test_the_range_follows_the_configuration():
    config = CONFIG.model_copy(update={"initializer_range": 0.1})
    model = initialised(Bert(config))
    assert model.embeddings.tokens.weight.std().item() == pytest.approx(0.1 * 0.8796, rel=0.02)


@pytest.mark.parametrize("scheme", ["normal", "neighbour"])
def test_values_are_a_function_of_the_seed_and_not_of_the_head_or_the_global_state(scheme):
    torch.manual_seed(1)
    first = initialised(Bert(CONFIG), seed=3, scheme=scheme)
    torch.manual_seed(2)
    labels = ClassifierLabels(("a", "b"))
    same = initialised(BertForSequenceClassification(CONFIG, labels), seed=3, scheme=scheme).bert
    other = initialised(Bert(CONFIG), seed=4, scheme=scheme)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name]), name
    assert not torch.equal(first.embeddings.tokens.weight, other.embeddings.tokens.weight)


def test_no_two_tensors_start_alike():
    model = initialised(BertForPreTraining(CONFIG))
    starts = [tuple(p.flatten()[:4].tolist()) for p in model.parameters() if p.dim() == 2]
    assert len(set(starts)) == len(starts)
