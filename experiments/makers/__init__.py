"""What made the embedded data. Nobody needs it again who does not want other data."""
