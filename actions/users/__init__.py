"""What managers do: add, change, rename, suspend and remove users, import and export files of users, and offboard.

Others may import `contacts`, `exports`, `imports`, `imports_at_once`, `managers`, `offboarding`, `overview`,
`preferences`, `removals`, `renaming`, `several`, `taking_back`, `user_files`, `users`.
"""
