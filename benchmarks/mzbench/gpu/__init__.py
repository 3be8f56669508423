"""The case `gpu`: what a new card does with mzpipe, section by section, against bounds.

command    runs the sections, each in a process of its own, and writes their lines
program    is that process
sections   the sections by name, with their budgets of time
lines      numbers with their bounds, and the setting of a measurement
works      the networks that are measured, and weights for them

correct    answers and training against the CPU          host       launches and copies
inference  batches through captured graphs               lanes      an inference server between lanes
learner    training steps, and their feed                pipeline   whole profiles with ceilings
runs       a whole run: its memory, and what a kill leaves
"""
