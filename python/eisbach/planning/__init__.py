"""`eisbach plan`: layouts of a job on a machine, and what a step takes."""

from eisbach.planning.make import ExpertTerms, Plan, Terms, make_plan
from eisbach.planning.table import fragment, table

__all__ = ["ExpertTerms", "Plan", "Terms", "fragment", "make_plan", "table"]
