"""How good a policy is: round trips and the task's own score on held-out items, with an interval on every number.

Nothing here imports torch until a model is asked for, so saved predictions can be measured without it.
"""
