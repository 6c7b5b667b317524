"""Sizes of pictures, so that they are printed as they are, with text that can be read."""

COLUMN = 85 / 25.4  # width of a printed column, inches
PAGE = 180 / 25.4  # width of two columns, inches
TEXT, SMALL, TINY = 8, 7, 6  # points; nothing is smaller
