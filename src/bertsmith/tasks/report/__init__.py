"""The page of a fine-tuning run, for people."""
