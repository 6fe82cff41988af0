"""Attention by torch's kernel for sequences of different lengths, end to end (FlashAttention-2: Dao 2023).

For GPUs, in 16 bits: no filling is computed, and no probabilities are kept. The public name of it, `varlen_attn` of
`torch.nn.attention.varlen`, leaves out the dropout of probabilities that the kernel below it has and BERT needs (A.2),
so the kernel is called here by itself; so does torch's attention over nested tensors.
"""

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention import Attend

_LARGEST_HEAD = 256  # of the kernel; head sizes are multiples of 8
_OLDEST_GPU = (8, 0)  # Ampere


def takes(states: Tensor, head_size: int) -> bool:
    """Whether the kernel can be used for states on this device, of this dtype."""
    if not states.is_cuda or states.dtype not in (torch.bfloat16, torch.float16):
        return False
    fits = head_size % 8 == 0 and head_size <= _LARGEST_HEAD
    return fits and torch.cuda.get_device_capability(states.device) >= _OLDEST_GPU


def varlen_attention(inputs: FlatBatch, num_heads: int, *, causal: bool = False) -> Attend:
    """Each sequence by its borders, `cu_seqlens`."""
    cu_seqlens, longest, num_tokens = inputs.cu_seqlens, inputs.max_seqlen, inputs.num_tokens

    def attend(qkv: Tensor, dropout_rate: float) -> Tensor:
        query, key, value = qkv[:num_tokens].view(num_tokens, 3, num_heads, -1).unbind(1)  # [T, A, D] each
        context: Tensor = torch.ops.aten._flash_attention_forward(
            query,
            key,
            value,
            cu_seqlens,
            cu_seqlens,
            longest,
            longest,
            dropout_rate,
            causal,
            return_debug_mask=False,
        )[0]
        return nn.functional.pad(context.flatten(1), (0, 0, 0, len(qkv) - num_tokens))

    return attend
