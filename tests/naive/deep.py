"""Plain-Python twin of the kernels of `leaves`: several walks through one tree before the first is answered."""

from mzpipe.search.tree import ILLEGAL
from tests.naive.search import ONE, ZERO, F, NaiveSearch, Node, greatest, softmax


class NaiveDeep(NaiveSearch):
    """One tree, searched in rounds: `select_leaves`, then `backup_leaves` with as many rows."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        # A path and a leaf for each walk that waits for its answer.
        self.flights: list = []
        self.collisions = 0

    def q(self, node: Node) -> F:
        return node.given_q if node.in_flight else super().q(node)

    def walk(self) -> tuple[list, int | None]:
        """The nodes from the root on, and the unvisited action that the last one takes; None: it is in flight."""
        node, nodes, self.path = self.root, [self.root], []
        while not node.in_flight:
            action = greatest(self.scores(node))
            self.path.append((node, action))
            if action not in node.children:
                return nodes, action
            node = node.children[action]
            nodes.append(node)
        return nodes, None

    def select_leaves(self, most: int, walks: int) -> list[tuple[int, int]]:
        """(index of the node to leave, action) of each leaf of the round."""
        leaves: list = []
        collided: list = []
        while len(leaves) < most and len(leaves) + len(collided) < walks:
            nodes, action = self.walk()
            if action is None:
                collided.append(nodes if self.config.policy == "puct" else nodes[2:])
                count_pending(collided[-1], 1)
                continue
            leaf = self.hang(nodes[-1], action)
            count_pending([*nodes, leaf], 1)
            self.flights.append([*nodes, leaf])
            leaves.append((nodes[-1].index, action))
        for nodes in collided:
            count_pending(nodes, -1)
        self.collisions += len(collided)
        return leaves

    def hang(self, parent: Node, action: int) -> Node:
        """A child in flight, with the q that it has until its answer."""
        given_q = self.completion(parent)[0] if self.config.policy == "gumbel" else self.bounds(parent)[0]
        leaf = Node([], ONE, ZERO, [], prior=parent.prior_of(action), index=self.num_nodes, given_q=given_q)
        parent.children[action] = leaf
        self.num_nodes += 1
        return leaf

    def backup_leaves(self, reward_P, value_P, policy_PA) -> None:
        for nodes, reward, value, policy_A in zip(self.flights, reward_P, value_P, policy_PA, strict=True):
            leaf = nodes[-1]
            leaf.legal_A = [logit != ILLEGAL for logit in policy_A]
            leaf.weight_A, leaf.scale = softmax(policy_A, leaf.legal_A)
            leaf.raw_value, leaf.reward = F(value), F(reward)
            path_return = F(value)
            for node in reversed(nodes):
                node.pending -= 1
                node.value = F(node.value + F(F(path_return - node.value) / F(node.visits - node.pending)))
                if node is not self.root:
                    self.q_seen.append(self.q(node))
                    path_return = F(node.reward + F(self.discount * path_return))
        self.flights = []

    def keep(self, actions, policy_A, value, legal_A) -> list[int]:
        """Makes the node after these actions the root, with these outputs; the old indexes of what is kept, or []."""
        node = self.root
        for action in actions:
            if action not in node.children:
                return []
            node = node.children[action]
        legal_A = [bool(legal) for legal in legal_A]
        root = Node(self.root_prior(policy_A, legal_A), ONE, F(value), legal_A, visits=1, value=F(value))
        root.children = {action: child for action, child in node.children.items() if legal_A[action]}
        for action, child in root.newest_first():
            child.prior = root.weight_A[action]
            root.visits += child.visits
            share = F(F(child.visits) / F(root.visits))
            root.value = F(root.value + F(F(self.q(child) - root.value) * share))
        below = sorted(nodes_below(root), key=lambda each: each.index)
        kept = [node.index] + [each.index for each in below]
        for index, each in enumerate(below, start=1):
            each.index = index
        self.root, self.num_nodes, self.q_seen = root, len(kept), [self.q(each) for each in below]
        self.collisions = 0
        return kept


def nodes_below(node: Node) -> list[Node]:
    children = list(node.children.values())
    return children + [each for child in children for each in nodes_below(child)]


def count_pending(nodes: list[Node], count: int) -> None:
    for node in nodes:
        node.visits += count
        node.pending += count
