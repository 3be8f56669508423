"""Plain twin of turning a batch by symmetries: one sample, one place and one action at a time."""

import numpy as np


def turned_batch(frame_BF, action_BK, policy_BK1A, symmetries, symmetry_B):
    """Frames, actions and policies after these draws; 0 leaves a sample as it is, i is symmetries[i - 1]."""
    frame_BF, action_BK, policy_BK1A = frame_BF.copy(), action_BK.copy(), policy_BK1A.copy()
    for sample, number in enumerate(symmetry_B):
        if number:
            turn_sample(frame_BF[sample], action_BK[sample], policy_BK1A[sample], symmetries[number - 1])
    return frame_BF, action_BK, policy_BK1A


def turn_sample(frame_F, action_K, policy_K1A, symmetry):
    planes = frame_F.reshape(-1, len(symmetry.points))
    for plane in planes:
        plane[:] = [plane[point] for point in symmetry.points]
    for k, action in enumerate(action_K):
        action_K[k] = symmetry.actions.index(action)
    for policy_A in policy_K1A:
        policy_A[:] = [policy_A[action] for action in symmetry.actions]
    assert np.shares_memory(planes, frame_F)
