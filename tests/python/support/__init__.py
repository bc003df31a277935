"""What tests of several folders need, and scripts that show what they show."""
