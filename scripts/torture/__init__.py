"""Breaks running jobs at random and compares them with unbroken ones."""
