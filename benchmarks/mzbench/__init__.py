"""Measurements of mzpipe against named references, all taken in the same run: what `mzpipe bench` calls.

registry   the cases by name                        report    what every case answers: records, JSON, table
timing     contestants, turn about, on one core     machine   whose numbers they are: host, commit, the one core
rates      what they do in a second, as rows        plot      panels as a PNG
children   processes beside the measuring one

search     the case: tree work of a batch of trees, on outputs that search_models makes beforehand;
           its references are numpy_search and, where mctx is installed, mctx_reference
replay     the case: measures batches itself, priorities in replay_sampling, compressed frames and insertion in
           replay_storage; all contestants store replay_episodes, ours in replay_tables; its references are
           replay_references (memcpy, NumPy) and, where it is installed, replay_cpprb; replay_rates has the panel
learner    the case: learner_feed has a learner between full rings, with children around it that run
           learner_processes; learner_reference has the same step alone; both train what learner_work describes
ipc        the case: its caller has ipc_peers, processes that run ipc_peer and call what it names, in the memory of
           ipc_memory. Measured: ipc_ring, ipc_large, ipc_doorbell,
           ipc_gather, ipc_weights; checked, with a control: ipc_torn, ipc_killed; references: ipc_pingpong and, on
           ipc_sockets, zmq
"""

from .registry import CASES, chosen_cases
from .report import CaseResult, Record, make_records, table

__all__ = ["CASES", "CaseResult", "Record", "chosen_cases", "make_records", "table"]
