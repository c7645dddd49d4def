"""A manager's day: users added, changed, suspended and removed; files of users; offboarding.

Others may import `exports`, `imports`, `imports_at_once`, `offboarding`, `preferences`, `user_files`, `users`.
"""
