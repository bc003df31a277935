"""Section `network`: what joins the ranks, and what must."""

from typing import Literal

from eisbach.config.section import Section, key

# `train::RequiredByName` in the core knows the same names.
Requirement = Literal["auto", "tensor", "required"]


class NetworkSection(Section):
    """What must join the ranks; a run that does not have it stops at once."""

    interface: str = key(
        "auto",
        "Network interface that ranks of several hosts meet on, such as "
        "`bond0`; `auto` leaves it to MPI and NCCL. Ranks of one host listen "
        "on none.",
    )
    nvls: Requirement = key(
        "auto",
        "NVLink switches that add for the ranks (NVLS): `required` of all "
        "tensor and data groups, of `tensor` groups alone, or `auto`: used "
        "where they are.",
    )
    mnnvl: Requirement = key(
        "auto",
        "NVLink between hosts (MNNVL): groups with ranks on several hosts must "
        "lie in one NVLink domain. `required` of all tensor and data groups, "
        "of `tensor` groups alone, or `auto`: used where it is.",
    )
