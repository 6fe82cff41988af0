"""Fine-tuning: readers, heads, metrics, and the verbs finetune, evaluate, predict and fill."""
