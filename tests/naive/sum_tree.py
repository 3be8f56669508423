"""Plain-Python twin of the sum-tree: a list, summed every time."""


class NaiveSumTree:
    def __init__(self, num_places):
        self.weights = [0.0] * num_places

    def set(self, places, weights):
        for place, weight in zip(places, weights, strict=True):
            self.weights[place] = weight

    @property
    def total(self):
        return sum(self.weights)

    def draw(self, uniform):
        target, last = uniform * self.total, None
        for place, weight in enumerate(self.weights):
            if weight > 0.0:
                last = place
                if target < weight:
                    break
                target -= weight
        return last
