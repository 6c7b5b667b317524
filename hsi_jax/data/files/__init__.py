"""Files of scenes and labels: one file a format."""
