"""What managers do: add, change, suspend and remove users, import and export files of users, and offboard.

Others may import `exports`, `imports`, `imports_at_once`, `managers`, `offboarding`, `preferences`, `removals`,
`user_files`, `users`.
"""
