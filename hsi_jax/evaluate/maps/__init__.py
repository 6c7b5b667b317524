"""Class maps: drawn, and written as files."""
