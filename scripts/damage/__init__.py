"""What becomes of a run whose files are damaged; see damage.sh."""
