"""Processes of one machine: where they run, how fast, and what happens if one dies (Linux)."""
