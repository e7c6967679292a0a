"""The sending engine: claims what is due, sends it, writes what became of it.

`engine.SenderEngine` is the loop; `dispatch` takes a claimed chunk to its outcome; `prepare` turns rows into signed
messages; `outcomes` holds the rules of what a reply means; `results` writes results in bulk. What survives a kill at
any instruction, and why, is said where it matters.
"""
