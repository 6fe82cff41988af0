"""The loop, optimiser, schedule, precision, checkpoints and the `pretrain` verb."""
