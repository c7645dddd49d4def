"""An organisation's order: services, domains and mailboxes, their use of storage, and the search for their users.

Others may import `fullness`, `last_access`, `mailboxes`, `search_words`, `services`, `user_list`.
"""
