"""Which labelled samples train, validate and test: one file a split."""
