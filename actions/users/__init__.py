"""A manager's day: users added, changed, suspended and removed; files of users; offboarding.

Others may import `exports`, `imports`, `offboarding`, `preferences`, `users`.
"""
