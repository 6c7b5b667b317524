"""Accuracies, calibration, paired tests, and what devices did."""
