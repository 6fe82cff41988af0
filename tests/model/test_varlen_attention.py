"""The kernel for sequences end to end: what can be said without a GPU, and that it is right where there is one."""

import pytest
import torch

from bertsmith.model.attention import reference_attention
from bertsmith.model.attention_backends import attention_over
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.dense_attention import dense_attention
from bertsmith.model.gpt import GptLanguageModel
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.losses import count_correct, cross_entropy_sum
from bertsmith.model.varlen_attention import takes, varlen_attention

HEADS, WIDTH = 4, 64
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: the kernel is for no other device")


@pytest.mark.parametrize("dropout_rate", [0.0, 0.1])
def test_shapes_and_gradients_go_through_the_kernel(dropout_rate, make_inputs):
    """On the device "meta" torch computes shapes and the graph of gradients, but no numbers."""
    inputs = make_inputs(lengths=(3, 17, 8)).flat.to("meta")
    qkv = torch.empty(32, 3 * WIDTH, dtype=torch.bfloat16, device="meta", requires_grad=True)  # 28 tokens, 4 rows more
    context = varlen_attention(inputs, HEADS, causal=True)(qkv, dropout_rate)
    assert (context.shape, context.dtype) == ((32, WIDTH), torch.bfloat16)
    context.sum().backward()
    assert qkv.grad.shape == qkv.shape


@pytest.mark.parametrize("family", ["bert", "gpt"])
def test_a_training_step_asks_a_gpu_for_nothing_before_its_end(family, make_inputs):
    """A number that the CPU has to wait for is one that "meta" does not have: asking for it is an error there."""
    inputs = make_inputs(lengths=(3, 17, 8)).flat.to("meta")
    model: BertForPreTraining | GptLanguageModel
    if family == "bert":
        model = BertForPreTraining(BertConfig.of_size("tiny", vocab_size=211))
    else:
        model = GptLanguageModel(GptConfig.from_layers({"vocab_size": 211, "n_layer": 2, "n_embd": 64, "n_head": 2}))
    model.to("meta", torch.bfloat16).train()
    places, labels = (torch.empty(5, dtype=torch.int64, device="meta") for _ in range(2))
    output = model(inputs, places, attention="varlen")
    loss, correct = output.token_scores.judge(labels)
    if output.nsp_logits is not None:
        not_next = torch.empty(3, dtype=torch.int64, device="meta")
        loss = loss / 5 + cross_entropy_sum(output.nsp_logits, not_next) / 3
        assert count_correct(output.nsp_logits, not_next).shape == ()
    loss.backward()
    assert correct.shape == (5,)
    assert all(weight.grad.shape == weight.shape for weight in model.parameters())
    with pytest.raises(RuntimeError, match="meta"):
        loss.item()


def test_a_cpu_takes_the_rectangle(make_inputs):
    inputs = make_inputs(lengths=(3, 17, 8)).flat
    qkv = torch.randn(28, 3 * WIDTH)
    chosen = attention_over(inputs, HEADS, torch.empty(2, WIDTH))(qkv, 0.0)
    assert torch.equal(chosen, dense_attention(inputs, HEADS)(qkv, 0.0))
    assert not takes(torch.empty(2, WIDTH, dtype=torch.bfloat16), WIDTH // HEADS)


@on_a_gpu
def test_a_gpu_takes_the_kernel_for_16_bits_only():
    weights = torch.empty(2, WIDTH, device="cuda")
    assert takes(weights.bfloat16(), 16)
    assert not takes(weights, 16)
    assert not takes(weights.bfloat16(), 12)


@on_a_gpu
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [(3, 17, 512, 1), (7,), (1, 1), (30, 30, 30)], ids=str)
def test_it_agrees_with_the_formula_in_context_and_gradient(lengths, causal, make_inputs):
    inputs = make_inputs(lengths=lengths).flat.to("cuda")
    values = torch.randn(inputs.num_tokens + 2, 3 * WIDTH, generator=torch.Generator().manual_seed(0)).bfloat16().cuda()
    results = []
    for backend, dtype in ((reference_attention, torch.float32), (varlen_attention, torch.bfloat16)):
        qkv = values.to(dtype).requires_grad_()
        context = backend(inputs, HEADS, causal=causal)(qkv, 0.0)
        context.float().square().sum().backward()
        results.append((context.float(), qkv.grad.float()))
    torch.testing.assert_close(*results, rtol=0.05, atol=0.03)
    assert not results[1][0][-2:].any()


@on_a_gpu
def test_dropout_is_a_function_of_the_seed_and_keeps_the_mean(make_inputs):
    inputs = make_inputs(lengths=(128,) * 64).flat.to("cuda")
    qkv = torch.randn(128 * 64, 3 * WIDTH, device="cuda").bfloat16()
    qkv[:, 2 * WIDTH :] = 1.0  # the weighted mean of equal values is that value
    attend = varlen_attention(inputs, HEADS)
    contexts = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        contexts.append(attend(qkv, 0.1).float())
    assert torch.equal(contexts[0], contexts[1])
    assert not torch.equal(contexts[0], contexts[2])
    assert contexts[0].std() > 0.01
    assert abs(contexts[0].mean() - 1.0) < 0.01
