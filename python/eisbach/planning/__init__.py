"""`eisbach plan`: layouts of a job on a machine, and what a step takes."""

from eisbach.planning.keys import arguments, fragment
from eisbach.planning.make import CHOSEN, ExpertTerms, Plan, Terms, make_plan
from eisbach.planning.table import table

__all__ = [
    "CHOSEN",
    "ExpertTerms",
    "Plan",
    "Terms",
    "arguments",
    "fragment",
    "make_plan",
    "table",
]
