"""What managers do: add, change, rename, suspend and remove users, import and export files of users, and offboard.

Others may import `exports`, `imports`, `imports_at_once`, `managers`, `offboarding`, `preferences`, `removals`,
`renaming`, `several`, `user_files`, `users`.
"""
