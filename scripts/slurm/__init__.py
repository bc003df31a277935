"""A SLURM of two nodes on hosts that are made up, and jobs in it."""
