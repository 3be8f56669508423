"""Damaged and forged files of a run, and what every command makes of them: `python -m tests.drills.mutations`.

`subject` makes one small run; a `Mutation` (`damage`, `forged`) changes a fresh copy of it; `commands` are given to the
copy in forks of this process (`forks`), which has loaded the libraries once; `judge` compares what each did with what
it does to the sound run.
"""
