"""Devices: a password for each mail program, invitations to set one up, and what sets it up.

Others may import `device_passwords`, `devices`, `invitations`, `mail_programs`, `set_up`.
"""
