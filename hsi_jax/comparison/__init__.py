"""Many runs, compared: schemes, models, and how much of an accuracy is leakage."""
