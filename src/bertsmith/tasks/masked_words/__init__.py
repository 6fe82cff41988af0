"""The kind *masked words*: what stands behind [MASK], any word or one for each label (BERT 3.1, task 1, fine-tuned)."""
