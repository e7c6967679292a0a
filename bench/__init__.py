"""Benchmarks that print ratios: ours against a reference, interleaved in one run on one machine.

A single figure says little on a shared machine; the ratio of two things measured in turn, round by round, says what
the code is worth. `make bench` runs everything; `python -m bench accept batch100` runs some; `--help` says more.
"""
