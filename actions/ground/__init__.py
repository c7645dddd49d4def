"""What every room stands on: who acts, the outside world as actions see it, refusals, tokens.

Others may import `actor`, `addresses`, `encryption`, `holding`, `message`, `phone_numbers`, `ports`, `refusals`,
`sizes`, `spreadsheet`, `throttle`, `tokens`, `unit_of_work`.
"""
