"""The kernels that Python calls: each does all work of one simulation on a batch of trees.

    begin             start_roots -> mix_noise -> begin_puct | begin_gumbel     select of simulation 1
    each simulation   advance_puct | advance_gumbel                             expand k, backup k, select k + 1

Trees with chance have begin_puct_chance, begin_gumbel_chance and advance_chance.

Shape legend    B trees   A actions
Reads           policy_BA, value_B, reward_B, legal_actions_BA, noise
Writes          the arena; parent_index_B and action_B: the edge that the next simulation expands
Preconditions   P1  shapes and types are as BatchedSearch checks them.
Postconditions  I1  if a fault is returned, nothing was written: neither the arena nor parent_index_B nor action_B.
                I2  parent_index_B and action_B are copies: later changes to them do not reach the trees.
                I3  a tree's bits depend on its own inputs alone, not on the batch around it.
Oracle          tests/naive/search.py        Benchmark  mzpipe bench search
"""

from .backup import backup_path
from .chance import backup_chance, open_kind, select_chance, set_kind, write_kind_row
from .compiled import entry, expression
from .expand import expand_leaf, expand_root, hang_leaf, open_row, take_best, write_root_row, write_row
from .faults import NO_FAULT, find_fault, find_root_fault
from .gumbel import select_gumbel
from .halving import name_considered, start_root, write_root_logits
from .noise import mix_dirichlet
from .puct import select_puct
from .tree import NONE, ROOT, header_of, tree_of


@expression
def write_edge(tree, k, b, parent_index_B, action_B):
    """Writes the edge into node `k` to the tree and to the caller's arrays."""
    parent = tree.nodes_N[k].parent
    action = tree.nodes_N[parent].best_action
    tree.edges_N[k].action = action
    parent_index_B[b] = parent
    action_B[b] = action


@expression
def name_edge(tree, k, b, from_logits, parent_index_B, action_B):
    """Takes the best unvisited edge of the parent that select chose for node `k`, and writes it to the caller's
    arrays."""
    parent = tree.nodes_N[k].parent
    if tree.edges_N[parent].first_child == NONE:
        open_row(tree, parent, from_logits)
    write_edge(tree, k, b, parent_index_B, action_B)


@entry
def start_roots(arena, value_B, policy_BA, legal_actions_BA):
    """Starts every tree with its root evaluated once; returns the first fault of the arrays and its tree."""
    header = header_of(arena)
    fault = find_root_fault(value_B, policy_BA, legal_actions_BA, header)
    if fault[0] == NO_FAULT:
        for b in range(value_B.shape[0]):
            tree = tree_of(arena, header, b)
            expand_root(tree, value_B[b], policy_BA[b], legal_actions_BA[b], header.from_logits)
            if header.num_considered:
                write_root_logits(tree, policy_BA[b], legal_actions_BA[b], header.from_logits)
    return fault


@entry
def mix_noise(arena, log_gamma_BTA, t, legal_actions_BA, fraction):
    """Mixes Dirichlet noise, row `t` of the draws, into the prior of every root."""
    header = header_of(arena)
    for b in range(legal_actions_BA.shape[0]):
        mix_dirichlet(tree_of(arena, header, b), log_gamma_BTA[b, t], legal_actions_BA[b], fraction)


@entry
def begin_puct(arena, legal_actions_BA, parent_index_B, action_B):
    """Selects the first simulation's edges by pUCT."""
    header = header_of(arena)
    for b in range(legal_actions_BA.shape[0]):
        tree = tree_of(arena, header, b)
        write_root_row(tree, legal_actions_BA[b])
        select_puct(tree.edges_N, tree.nodes_N, tree.tables_N, header, 1)
        name_edge(tree, 1, b, header.from_logits, parent_index_B, action_B)


@entry
def begin_gumbel(arena, noise_BTA, t, parent_index_B, action_B):
    """Selects the first simulation's edges by Gumbel top-m, with row `t` of the noise drawn ahead."""
    header = header_of(arena)
    for b in range(noise_BTA.shape[0]):
        tree = tree_of(arena, header, b)
        start_root(tree, noise_BTA[b, t], header.num_considered)
        select_gumbel(tree.edges_N, tree.nodes_N, tree.root_score_A, tree.halving_K, tree.spare_L, header, 1)
        name_edge(tree, 1, b, header.from_logits, parent_index_B, action_B)


@entry
def advance_puct(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    """Ends simulation `k` and selects the next one's edges by pUCT; returns the first fault and its tree."""
    header = header_of(arena)
    fault = find_fault(reward_B, value_B, policy_BA, header)
    if fault[0] != NO_FAULT:
        return fault
    goes_on = k < header.num_nodes - 1
    for b in range(value_B.shape[0]):
        tree = tree_of(arena, header, b)
        hang_leaf(tree.edges_N, tree.nodes_N, k, reward_B[b], value_B[b])
        if goes_on:
            expand_leaf(tree, k, policy_BA[b], header.from_logits)
        backup_path(tree.edges_N, tree.nodes_N, k, header.discount)
        if goes_on:
            select_puct(tree.edges_N, tree.nodes_N, tree.tables_N, header, k + 1)
            name_edge(tree, k + 1, b, header.from_logits, parent_index_B, action_B)
    return fault


@expression
def name_kind_edge(tree, k, b, num_actions, parent_index_B, action_B):
    """`name_edge` in a tree with chance."""
    parent = tree.nodes_N[k].parent
    if tree.edges_N[parent].first_child == NONE:
        open_kind(tree, parent, num_actions)
    write_edge(tree, k, b, parent_index_B, action_B)


@expression
def select_first_chance(tree, b, header, parent_index_B, action_B):
    """Selects the first edge of a tree with chance."""
    tree.nodes_N[ROOT].is_chance = 0
    select_chance(tree, header, 1)
    name_kind_edge(tree, 1, b, header.num_actions - header.num_codes, parent_index_B, action_B)


@entry
def begin_puct_chance(arena, legal_actions_BA, parent_index_B, action_B):
    """Selects the first simulation's edges of trees with chance by pUCT; the codes are illegal."""
    header = header_of(arena)
    for b in range(legal_actions_BA.shape[0]):
        tree = tree_of(arena, header, b)
        write_root_row(tree, legal_actions_BA[b])
        select_first_chance(tree, b, header, parent_index_B, action_B)


@entry
def begin_gumbel_chance(arena, noise_BTA, t, parent_index_B, action_B):
    """Selects the first simulation's edges of trees with chance by Gumbel top-m."""
    header = header_of(arena)
    for b in range(noise_BTA.shape[0]):
        tree = tree_of(arena, header, b)
        start_root(tree, noise_BTA[b, t], header.num_considered)
        select_first_chance(tree, b, header, parent_index_B, action_B)


@entry
def advance_chance(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    """Ends simulation `k` and selects the next one's edges with chance; returns the first fault and its tree."""
    header = header_of(arena)
    fault = find_fault(reward_B, value_B, policy_BA, header)
    if fault[0] != NO_FAULT:
        return fault
    goes_on = k < header.num_nodes - 1
    num_actions = header.num_actions - header.num_codes
    for b in range(value_B.shape[0]):
        tree = tree_of(arena, header, b)
        hang_leaf(tree.edges_N, tree.nodes_N, k, reward_B[b], value_B[b])
        set_kind(tree.nodes_N, k)
        if header.num_considered and tree.nodes_N[k].parent == ROOT:
            name_considered(tree, tree.nodes_N[ROOT].best_place + 1)
        elif goes_on:
            take_best(tree, tree.nodes_N[k].parent)
        if goes_on:
            write_kind_row(tree, k, policy_BA[b], num_actions)
        backup_chance(tree.edges_N, tree.nodes_N, k, header.discount)
        if goes_on:
            select_chance(tree, header, k + 1)
            name_kind_edge(tree, k + 1, b, num_actions, parent_index_B, action_B)
    return fault


@entry
def advance_gumbel(arena, k, reward_B, value_B, policy_BA, parent_index_B, action_B):
    """Ends simulation `k` and selects the next one's edges by Gumbel MuZero; returns the first fault and its tree."""
    header = header_of(arena)
    fault = find_fault(reward_B, value_B, policy_BA, header)
    if fault[0] != NO_FAULT:
        return fault
    goes_on = k < header.num_nodes - 1
    for b in range(value_B.shape[0]):
        tree = tree_of(arena, header, b)
        hang_leaf(tree.edges_N, tree.nodes_N, k, reward_B[b], value_B[b])
        if tree.nodes_N[k].parent == ROOT:
            name_considered(tree, tree.nodes_N[ROOT].best_place + 1)
            if goes_on:
                write_row(tree, k, policy_BA[b], header.from_logits)
        elif goes_on:
            expand_leaf(tree, k, policy_BA[b], header.from_logits)
        backup_path(tree.edges_N, tree.nodes_N, k, header.discount)
        if goes_on:
            select_gumbel(tree.edges_N, tree.nodes_N, tree.root_score_A, tree.halving_K, tree.spare_L, header, k + 1)
            name_edge(tree, k + 1, b, header.from_logits, parent_index_B, action_B)
    return fault
