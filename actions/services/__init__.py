"""What is ordered: services, domains and mailboxes, how full they are, and how their users are found.

Others may import `fullness`, `mailboxes`, `search_words`, `services`, `user_list`.
"""
