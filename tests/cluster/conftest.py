"""A pod for the head that a module's own fixture makes."""

import pytest

from tests.cluster.rig import Pod, step


@pytest.fixture
def pod(tmp_path, head):
    """The first pod of `head`, joined."""
    pod = Pod(tmp_path / "pod", head)
    step(head, pod, until=lambda: pod.uplink._is_joined and head.row.is_linked)
    yield pod
    pod.close()
