"""Fine-tuning as scikit-learn has it: fit, predict, score."""
