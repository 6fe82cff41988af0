"""Gradients of the embedding tables are sums in float32, whatever the dtype of the weights."""

import torch

from bertsmith.model.embeddings import Embeddings


def test_gradients_in_bfloat16_are_the_rounded_exact_sums(tiny_config, make_inputs, randomise):
    inputs = make_inputs(lengths=(512,) * 8).flat
    inputs.token_ids[::2] = 103  # half of all tokens are the same piece
    exact = randomise(Embeddings(tiny_config)).to(torch.bfloat16).double()
    rounded = Embeddings(tiny_config).to(torch.bfloat16)
    rounded.load_state_dict(exact.state_dict())
    rounded.norm = exact.norm = torch.nn.Identity()  # the same gradient reaches both sums
    gradient = torch.rand(inputs.num_tokens, 48).to(torch.bfloat16)
    exact(inputs).backward(gradient.double())
    rounded(inputs).backward(gradient)
    for name, parameter in rounded.named_parameters():
        expected = exact.get_parameter(name).grad.to(torch.bfloat16)
        torch.testing.assert_close(parameter.grad, expected, rtol=2**-7, atol=0, msg=name)
