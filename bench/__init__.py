"""Speed, as ratios to a base that is measured in the same run: `python -m bench`."""
