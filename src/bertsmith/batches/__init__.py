"""Token store -> training batches: segment pairs (NSP), masking, order, the flat layout."""
