"""Clusters that are too large to try, on paper; and how far the paper is off."""
