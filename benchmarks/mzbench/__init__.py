"""Measurements of mzpipe against named references, all in the same run; `mzpipe bench` calls them.

registry   the cases by name                        report    the results of a case: records, JSON, table
timing     contestants that take turns              plot      panels as a PNG
rates      rates of contestants, as rows            children  processes around the measuring one

search     tree work of a batch of trees, on outputs that search_models makes beforehand; the references are
           numpy_search and, if mctx is installed, mctx_reference; search_parts times the parts of a simulation
replay     case measures batches, sampling priorities, storage compressed frames and insertion; all contestants store
           episodes, ours in tables; references has memcpy and NumPy, cpprb its reference if it is installed; rates
           has the panel
learner    feed has a learner between full rings, with children that run processes; reference has the same step alone;
           both train the networks of work
ipc        the caller of case has peers, processes that run peer, in the segments of memory. Measured: ring, kernels,
           large, doorbell, gather, weights; checked, with a control: torn, killed; references: pingpong and, on
           sockets, zmq
gpu        sections with bounds for a new card, see its own list; command runs each in a process of its own
played     no case but a program: pong plays, positions makes batches of the moves, looks trains and compares the value
           as trained with the value as played
"""

from .registry import CASES, chosen_cases
from .report import CaseResult, Record, make_records, table

__all__ = ["CASES", "CaseResult", "Record", "chosen_cases", "make_records", "table"]
