"""What the paper's trainings cost, for docs/scaling.md: tokens, operations, and hours at a share of a GPU's peak."""

from pathlib import Path

from bertsmith.model.configuration import BertConfig
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.flops import flops_per_token

RECIPES = ("paper-base", "paper-large")
VOCABULARY = 30_522
PEAK = 989e12  # FLOP/s: bfloat16 of an H100 SXM without sparsity, by NVIDIA's data sheet
SHARES = (0.3, 0.45, 0.6)  # of the peak, on real tokens


def cost_table() -> str:
    """A row for each recipe, all of its phases together, as if every sequence were of full length."""
    hours = " | ".join(f"hours of one H100 at {share:.0%} of its peak" for share in SHARES)
    rows = [f"| recipe | tokens | FLOPs a token, by phase | FLOPs in all | {hours} |", "|---" * (4 + len(SHARES)) + "|"]
    for recipe in RECIPES:
        config = PretrainConfig.from_layers({"recipe": recipe, "store": Path("store"), "out": Path("run")})
        network = BertConfig.of_size(config.model.size, vocab_size=VOCABULARY)
        steps, data = config.training.steps, config.data
        assert steps is not None
        all_tokens = all_flops = 0.0
        by_phase = []
        for number, phase in enumerate(data.phases):
            length = data.length_of(number)
            tokens = steps * phase.share * data.batch_size_of(number) * length
            flops = flops_per_token(network, length, data.masking_rate_of(number))
            by_phase.append(f"{flops / 1e6:,.0f} M at {length}")
            all_tokens += tokens
            all_flops += tokens * flops
        shown = " | ".join(f"{all_flops / (share * PEAK) / 3600:,.0f}" for share in SHARES)
        tokens_shown = f"{all_tokens / 1e9:.1f} billion"
        rows.append(f"| `{recipe}` | {tokens_shown} | {', '.join(by_phase)} | {all_flops:.2g} | {shown} |")
    return "\n".join(rows) + "\n"
