"""The account's password: its policy, signing in with it, changing and recovering it.

Others may import `guesses`, `mail_policy`, `passphrase`, `password_strength`, `passwords`, `policy`,
`random_passwords`, `recovery`, `sign_in`.
"""
