"""Pre-training of EgoVideo: the model, its clips, its training.

Nothing is imported here, so that the processes that render clips start without torch.
"""
