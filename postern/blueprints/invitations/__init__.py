"""Invitations to set up a device: made by its owner, accepted by somebody else."""
