"""`python -m eisbach` is the command `eisbach`."""

from eisbach.cli import main

main()
