"""Looks at checkpoints, hands them out and takes others' weights in."""
