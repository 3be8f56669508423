"""A logger that writes down what it is told, in a new file for each session."""


class Recorder:
    def open(self, run):
        number = 1 + len(list(run.directory.glob("recorded-*.txt")))
        self.path = run.directory / f"recorded-{number}.txt"
        units = {each.tag: each.unit for each in run.metrics}
        self.note("open", run.learner_steps, run.axis, units["loss/total"], run.profile["game"]["name"])

    def log(self, values, env_steps, learner_steps, time):
        self.note("log", env_steps, learner_steps, len(values))

    def close(self):
        self.note("close")

    def note(self, *words):
        with self.path.open("a") as file:
            file.write(f"{' '.join(map(str, words))}\n")
