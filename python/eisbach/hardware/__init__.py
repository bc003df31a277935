"""Descriptions of machines, which `eisbach plan` reckons with."""

from eisbach.hardware.files import (
    folder,
    known,
    machine_name,
    own_folder,
    path_of,
    read_hardware,
)
from eisbach.hardware.machine import changed, machine_of
from eisbach.hardware.sections import HardwareFile

__all__ = [
    "HardwareFile",
    "changed",
    "folder",
    "known",
    "machine_name",
    "machine_of",
    "own_folder",
    "path_of",
    "read_hardware",
]
