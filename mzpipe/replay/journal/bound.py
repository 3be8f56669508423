"""How large a journal can become: for the plan that is made before anything starts."""

from .format import FILE_HEADER_BYTES, JournalLayout, record_bytes

# A segment's line in the manifest, at most.
_ENTRY_BYTES = 256


def journal_bytes_bound(
    layout: JournalLayout, *, transitions: int, trajectory_length: int, segment_bytes: int, state_bytes: int
) -> int:
    """Bytes that RUN/journal can reach while a table of so many transitions forgets what it removes.

    Every stored transition in a record of its own, at worst; the oldest segment, whose trajectories are almost all
    gone; one that is gone and about to be deleted, and the one being filled; the state and its draft.
    """
    longest = record_bytes(layout, trajectory_length)
    largest_segment = max(segment_bytes, FILE_HEADER_BYTES + longest)
    stored = transitions * record_bytes(layout, 1)
    # A segment ends when the next record does not fit, so it holds at least this much.
    num_segments = 4 + stored // max(1, segment_bytes - FILE_HEADER_BYTES - longest, record_bytes(layout, 1))
    headers_and_manifest = num_segments * (FILE_HEADER_BYTES + 2 * _ENTRY_BYTES)
    return stored + 3 * largest_segment + headers_and_manifest + 2 * state_bytes
