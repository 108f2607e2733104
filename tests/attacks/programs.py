"""All attacks."""

from __future__ import annotations

from . import (
    programs_files,
    programs_floods,
    programs_kernel,
    programs_keys,
    programs_network,
    programs_parent,
    programs_persistence,
    programs_processes,
)
from .attack import Attack

ATTACKS: tuple[Attack, ...] = (
    *programs_files.ATTACKS,
    *programs_keys.ATTACKS,
    *programs_network.ATTACKS,
    *programs_processes.ATTACKS,
    *programs_kernel.ATTACKS,
    *programs_floods.ATTACKS,
    *programs_parent.ATTACKS,
    *programs_persistence.ATTACKS,
)
