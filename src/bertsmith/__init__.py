"""bertsmith: train your own BERT from your own text."""
