"""The base of every room: the actor, the outside world as actions see it, refusals, tokens.

Others may import `actor`, `addresses`, `domain_names`, `encryption`, `holding`, `message`, `phone_numbers`, `ports`,
`refusals`, `sizes`, `spreadsheet`, `throttle`, `time_zones`, `tokens`, `undo`, `unit_of_work`.
"""
