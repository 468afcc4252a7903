"""Files that are whole networks: what they compute stands in them, beside the weights."""

from scaling_ood.models.programs.program import (
    FixedBatch,
    Program,
    ProgramError,
    architecture_of,
    file_of,
    read_program,
)

__all__ = ["FixedBatch", "Program", "ProgramError", "architecture_of", "file_of", "read_program"]
