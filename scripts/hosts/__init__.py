"""Hosts that are made up on one machine, and faults between them."""
